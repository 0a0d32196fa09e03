package proxy

import (
	"errors"

	"github.com/primecloudpro/primecloud/proxy/s3xml"
	"github.com/primecloudpro/primecloud/tenancy"
)

// keepUploadRules takes the rules for unfinished uploads, which MinIO would drop, out
// of a bucket's lifecycle and keeps them in PostgreSQL, as a version that the
// document for the backend names. It goes first: as long as the backend has not taken
// the document, the version is in force nowhere, and once it has, everything is
// there. So there is no moment, and no lost answer, at which half of what was put
// is in force (docs/decisions/0032).
func (x *exchange) keepUploadRules(doc []byte) ([]byte, error) {
	version := tenancy.NewID()
	backend, uploads, err := s3xml.SplitLifecycle(doc, tenancy.UploadRulesMark(version), func(id string) bool {
		_, reserved := tenancy.ParseUploadRulesMark(id)
		return reserved
	})
	if err != nil || len(uploads) == 0 {
		return backend, err
	}
	rules := make([]tenancy.UploadRule, len(uploads))
	for i, u := range uploads {
		rules[i] = tenancy.UploadRule(u)
	}
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	dir := x.srv.cfg.Directory
	err = dir.AddUploadRules(ctx, x.bucket, version, rules)
	if errors.Is(err, tenancy.ErrTooManyUploadRules) {
		named, nerr := x.namedUploadRules()
		if nerr != nil {
			return nil, nerr
		}
		if err := dir.ForgetUploadRules(ctx, x.bucket, named); err != nil {
			return nil, err
		}
		x.prepare()
		err = dir.AddUploadRules(ctx, x.bucket, version, rules)
	}
	return backend, err
}

// namedUploadRules asks the backend which version its document names; zero: none.
func (x *exchange) namedUploadRules() (named tenancy.ID, err error) {
	x.out.set("GET", x.bucket.BackendName, nil)
	x.out.payload = emptySHA256
	x.out.param([]byte("lifecycle"), nil)
	if err := x.send(nil); err != nil {
		return named, err
	}
	defer x.finish()
	if x.resp.Status != 200 {
		if err := x.backendError(); asS3(err).Code != "NoSuchLifecycleConfiguration" {
			return named, err
		}
		return named, nil
	}
	doc, err := x.readResponse(maxResponseDocument)
	if err != nil {
		return named, err
	}
	_, _, err = s3xml.LifecycleOut(doc, func(id string) ([]s3xml.UploadRule, bool, error) {
		version, is := tenancy.ParseUploadRulesMark(id)
		if is {
			named = version
		}
		return nil, is, nil
	})
	if err != nil {
		return named, unreadable(err)
	}
	return named, nil
}

// uploadRules are those that a rule of the backend's document names, if it is one
// that does.
func (x *exchange) uploadRules(id string) ([]s3xml.UploadRule, bool, error) {
	version, is := tenancy.ParseUploadRulesMark(id)
	if !is {
		return nil, false, nil
	}
	ctx, cancel := x.srv.databaseContext()
	defer cancel()
	rules, err := x.srv.cfg.Directory.UploadRules(ctx, x.bucket, version)
	list := make([]s3xml.UploadRule, len(rules))
	for i, r := range rules {
		list[i] = s3xml.UploadRule(r)
	}
	return list, true, err
}

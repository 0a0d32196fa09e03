package s3xml

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/primecloudpro/primecloud/proxy/s3err"
)

// UploadRule is what one rule says of multipart uploads that are not completed.
type UploadRule struct {
	Position int // of the rule among all
	ID       string
	Enabled  bool
	Filter   string // where Prefix stands: "Prefix", "Filter/Prefix", or nowhere: "Filter" (an empty one), ""
	Prefix   string
	Days     int
}

const (
	maxRules      = 1000
	maxRuleID     = 255
	maxRulePrefix = 1024
)

// checkUploads: uploads have neither tags nor a size yet. S3 says InvalidRequest.
func (r *lifecycleRule) checkUploads() error {
	if r.AbortIncompleteMultipartUpload == nil {
		return nil
	}
	days := &r.AbortIncompleteMultipartUpload.DaysAfterInitiation
	if err := count("DaysAfterInitiation", days)(); err != nil {
		return err
	}
	f := r.Filter
	switch {
	case *days == "":
		return malformed("An AbortIncompleteMultipartUpload has a DaysAfterInitiation.")
	case utf8.RuneCountInString(r.ID) > maxRuleID:
		return s3err.New("InvalidArgument", "ID length should not exceed allowed limit of 255")
	case f == nil:
	case f.Tag != nil || f.And != nil && len(f.And.Tags) > 0:
		return s3err.New("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags.")
	case f.And != nil || f.ObjectSizeGreaterThan != "" || f.ObjectSizeLessThan != "":
		return s3err.New("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with object sizes.")
	}
	if _, prefix := r.prefix(); len(prefix) > maxRulePrefix {
		return s3err.New("InvalidRequest", "The maximum size of a prefix is 1024.")
	}
	return nil
}

// prefix is that of a rule without other conditions, and where it stands.
func (r *lifecycleRule) prefix() (filter, prefix string) {
	switch {
	case r.Prefix != nil:
		return "Prefix", *r.Prefix
	case r.Filter == nil:
		return "", ""
	case r.Filter.Prefix == nil:
		return "Filter", ""
	}
	return "Filter/Prefix", *r.Filter.Prefix
}

// SplitLifecycle takes what rules say of unfinished uploads out of a document that
// Lifecycle has made: the backend does not keep it. If there is any, the rest gets
// one rule more, which does nothing and has the id mark; a rest of no other rules
// is a document too, then. reserved ids are no client's.
func SplitLifecycle(doc []byte, mark string, reserved func(id string) bool) (backend []byte, uploads []UploadRule, err error) {
	var l lifecycle
	if err := xml.Unmarshal(doc, &l); err != nil {
		return nil, nil, fmt.Errorf("s3xml: lifecycle: %w", err)
	}
	var rest []lifecycleRule
	ids, twice := map[string]bool{}, false
	for i, r := range l.Rules {
		if reserved(r.ID) {
			return nil, nil, s3err.New("InvalidArgument", "A rule's ID begins with a text that is reserved.")
		}
		if a := r.AbortIncompleteMultipartUpload; a != nil {
			if r.ID == "" {
				r.ID = rand.Text() // as S3 does
			}
			u := UploadRule{Position: i, ID: r.ID, Enabled: r.Status == "Enabled"}
			u.Filter, u.Prefix = r.prefix()
			u.Days, _ = strconv.Atoi(a.DaysAfterInitiation) // Lifecycle has read it
			uploads = append(uploads, u)
			r.AbortIncompleteMultipartUpload = nil
		}
		if r.ID != "" {
			twice = twice || ids[r.ID]
			ids[r.ID] = true
		}
		if l.Rules[i].AbortIncompleteMultipartUpload == nil || r.Expiration != nil || r.NoncurrentVersionExpiration != nil {
			rest = append(rest, r)
		}
	}
	switch {
	case len(uploads) == 0:
		return doc, nil, nil
	case twice: // what the backend would say, which sees only some
		return nil, nil, s3err.New("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
	case len(rest) == maxRules:
		return nil, nil, s3err.New("InvalidRequest", "With AbortIncompleteMultipartUpload, a lifecycle has at most 999 rules with expirations here.")
	}
	l.Rules = append(rest, lifecycleRule{
		ID: mark, Status: "Disabled", Filter: &lifecycleFilter{Prefix: new(string)}, Expiration: &expiration{Days: "36500"},
	})
	out, err := xml.Marshal(&l)
	return out, uploads, err
}

// merge puts back what SplitLifecycle took out: into the rule of the same id, or
// where a rule stood that the backend has nothing of.
func (l *lifecycle) merge(uploads func(id string) ([]UploadRule, bool, error)) error {
	for i := range l.Rules {
		list, mark, err := uploads(l.Rules[i].ID)
		if err != nil {
			return err
		}
		if !mark {
			continue
		}
		l.Rules = slices.Delete(l.Rules, i, i+1)
		for _, u := range list {
			l.put(u)
		}
		return nil
	}
	return nil
}

func (l *lifecycle) put(u UploadRule) {
	end := &abortUpload{strconv.Itoa(u.Days)}
	if at := slices.IndexFunc(l.Rules, func(r lifecycleRule) bool { return r.ID == u.ID }); at >= 0 {
		l.Rules[at].AbortIncompleteMultipartUpload = end
		return
	}
	r := lifecycleRule{ID: u.ID, Status: "Disabled", AbortIncompleteMultipartUpload: end}
	if u.Enabled {
		r.Status = "Enabled"
	}
	switch u.Filter {
	case "Prefix":
		r.Prefix = &u.Prefix
	case "Filter":
		r.Filter = &lifecycleFilter{}
	case "Filter/Prefix":
		r.Filter = &lifecycleFilter{Prefix: &u.Prefix}
	}
	l.Rules = slices.Insert(l.Rules, min(u.Position, len(l.Rules)), r)
}

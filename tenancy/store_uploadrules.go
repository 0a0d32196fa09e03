package tenancy

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/primecloudpro/primecloud/internal/pg"
)

// UploadRule is what a rule of a bucket's lifecycle says of multipart uploads that
// are not completed: they are aborted Days after they began.
type UploadRule struct {
	Position int // among all rules of the document that was put
	ID       string
	Enabled  bool
	Filter   string // where the document has Prefix: "Prefix", "Filter/Prefix", or nowhere: "Filter" (an empty one), ""
	Prefix   string // of keys
	Days     int    // at least 1
}

// A bucket's document in the backend has a rule that does nothing and whose id
// names the version of the rules that belong with it (docs/decisions/0032).
const uploadRulesMark = "primecloud-uploads-"

// UploadRulesMark is the id of that rule.
func UploadRulesMark(version ID) string { return uploadRulesMark + version.String() }

// ParseUploadRulesMark reports whether a rule's id is one that is not a client's,
// and the version that it names; that is the zero ID if it names none.
func ParseUploadRulesMark(id string) (version ID, is bool) {
	text, is := strings.CutPrefix(id, uploadRulesMark)
	if is {
		version, _ = ParseID(text) // none: zero
	}
	return version, is
}

// maxUploadRules of one bucket are kept, in all versions: beyond, no version is added.
// A document has 1,000 at most.
const maxUploadRules = 20_000

// addUploadRules keeps a version of a bucket's rules, which is in force when the
// backend's document names it. It returns ErrTooManyUploadRules while there are
// too many rules in all versions.
func addUploadRules(ctx context.Context, q pg.Querier, bucket, version ID, rules []UploadRule) error {
	positions, days := make([]int, len(rules)), make([]int, len(rules))
	ids, filters, prefixes := make([]string, len(rules)), make([]string, len(rules)), make([]string, len(rules))
	enabled := make([]bool, len(rules))
	for i, r := range rules {
		positions[i], ids[i], enabled[i], filters[i], prefixes[i], days[i] = r.Position, r.ID, r.Enabled, r.Filter, r.Prefix, r.Days
	}
	tag, err := q.Exec(ctx, `INSERT INTO bucket_upload_rules (bucket_id, version, position, rule_id, enabled, filter, prefix, days)
		SELECT $1, $2, * FROM unnest($3::int[], $4::text[], $5::bool[], $6::text[], $7::text[], $8::int[])
		WHERE (SELECT count(*) FROM bucket_upload_rules WHERE bucket_id = $1) < $9`,
		bucket, version, positions, ids, enabled, filters, prefixes, days, maxUploadRules)
	switch {
	case pg.IsForeign(err):
		return ErrBucketUnknown
	case err == nil && tag.RowsAffected() == 0:
		return ErrTooManyUploadRules
	}
	return err
}

// UploadRulesOf returns a version of a bucket's rules in the order of the document,
// or ErrUploadRulesUnknown.
func UploadRulesOf(ctx context.Context, q pg.Querier, bucket, version ID) ([]UploadRule, error) {
	rows, err := q.Query(ctx, `SELECT position, rule_id, enabled, filter, prefix, days FROM bucket_upload_rules
		WHERE bucket_id = $1 AND version = $2 ORDER BY position`, bucket, version)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[UploadRule])
	if err == nil && len(list) == 0 {
		return nil, ErrUploadRulesUnknown
	}
	return list, err
}

// ForgetUploadRules removes versions other than the one that the backend's document
// names. Those of the last hour stay: a request may be about to put the document that
// names one of them. An older one is named by the present document or by none.
func ForgetUploadRules(ctx context.Context, q pg.Querier, bucket, named ID) error {
	_, err := q.Exec(ctx, `SELECT forget_upload_rules($1, $2)`, bucket, named)
	return err
}

// BucketsWithUploadRules returns up to limit buckets that have rules, in force or
// not, in the order of their ids behind after.
func BucketsWithUploadRules(ctx context.Context, q pg.Querier, after ID, limit int) ([]ID, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT bucket_id FROM bucket_upload_rules WHERE bucket_id > $1 ORDER BY bucket_id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[ID])
}

// BucketByID returns a bucket that is there, or ErrBucketUnknown.
func BucketByID(ctx context.Context, q pg.Querier, id ID) (*Bucket, error) {
	return scanBucket(q.QueryRow(ctx, `SELECT `+bucketColumns+` FROM buckets WHERE id = $1 AND `+existing, id))
}

// AddUploadRules keeps a version of the bucket's rules before the backend's document
// names it. It returns ErrTooManyUploadRules when there are many rules already:
// ForgetUploadRules may help.
func (d *Directory) AddUploadRules(ctx context.Context, b *Bucket, version ID, rules []UploadRule) error {
	leave, err := d.ofAccount(b.AccountID).enter(ctx)
	if err != nil {
		return d.outage(err)
	}
	defer leave()
	return d.outage(addUploadRules(ctx, d.cfg.Pool, b.ID, version, rules))
}

// UploadRules is UploadRulesOf, straight from PostgreSQL.
func (d *Directory) UploadRules(ctx context.Context, b *Bucket, version ID) ([]UploadRule, error) {
	leave, err := d.ofAccount(b.AccountID).enter(ctx)
	if err != nil {
		return nil, d.outage(err)
	}
	defer leave()
	list, err := UploadRulesOf(ctx, d.cfg.Pool, b.ID, version)
	return list, d.outage(err)
}

// ForgetUploadRules is the function of its name, as the directory's role.
func (d *Directory) ForgetUploadRules(ctx context.Context, b *Bucket, named ID) error {
	leave, err := d.ofAccount(b.AccountID).enter(ctx)
	if err != nil {
		return d.outage(err)
	}
	defer leave()
	return d.outage(ForgetUploadRules(ctx, d.cfg.Pool, b.ID, named))
}

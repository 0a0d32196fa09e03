package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/metering"
)

type verifyRow struct {
	OK          bool           `json:"ok"`
	Hours       int            `json:"hours"`
	Readings    int64          `json:"readings"`
	Adjustments int64          `json:"adjustments"`
	Samples     int64          `json:"samples"`
	Open        []openRow      `json:"open,omitempty"` // rows that wait for their seal
	Unsealed    int            `json:"final_hours_unsealed"`
	Head        *sealRow       `json:"head,omitempty"`
	Difference  *differenceRow `json:"difference,omitempty"`
}

type openRow struct {
	Hour time.Time `json:"hour"`
	What string    `json:"what"`
	Rows int64     `json:"rows"`
}

type sealRow struct {
	Hour     time.Time `json:"hour"`
	Hash     string    `json:"hash"`
	KeyID    string    `json:"key_id"`
	SealedAt time.Time `json:"sealed_at"`
}

type differenceRow struct {
	Hour   time.Time `json:"hour"`
	What   string    `json:"what"`
	Detail string    `json:"detail"`
}

func (c *cli) usageVerify(ctx context.Context, args []string) error {
	f := c.flags("usage verify", "")
	q := metering.VerifyQuery{Known: map[time.Time]metering.Digest{}}
	f.hours(&q.From, &q.To)
	f.Func("known", "HOUR=HASH of a seal as it was noted down; may be repeated", func(text string) error {
		return known(q.Known, text)
	})
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	keyring, err := c.keyring()
	if err != nil {
		return err
	}
	pool, err := c.ownerPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	v, err := metering.Verify(ctx, pool, keyring, q)
	if err != nil {
		return err
	}
	row := verifyRow{OK: v.Difference == nil, Hours: v.Hours, Readings: v.Rows, Adjustments: v.Adjustments, Samples: v.Samples, Unsealed: v.Unsealed}
	var open [][]string
	for _, n := range v.Open {
		row.Open = append(row.Open, openRow(n))
		open = append(open, []string{n.Hour.Format(time.RFC3339), n.What, fmt.Sprint(n.Rows)})
	}
	head := "-"
	if h := v.Head; !h.Hour.IsZero() {
		row.Head = &sealRow{h.Hour, hex.EncodeToString(h.Hash[:]), h.KeyID, h.SealedAt.UTC()}
		head = h.Hour.Format(time.RFC3339) + "=" + row.Head.Hash
	}
	if d := v.Difference; d != nil {
		row.Difference = &differenceRow{d.Hour, d.What, d.Detail}
	}
	err = c.print(f.json, row, "OK HOURS READINGS ADJUSTMENTS UNSEALED HEAD", [][]string{{
		fmt.Sprint(row.OK), fmt.Sprint(row.Hours), fmt.Sprint(row.Readings), fmt.Sprint(row.Adjustments), fmt.Sprint(row.Unsealed), head,
	}})
	if err == nil && !f.json && len(open) > 0 {
		_, _ = fmt.Fprintln(c.out)
		err = c.print(false, nil, "WAITS_FOR_SEAL WHAT ROWS", open)
	}
	if err != nil || row.OK {
		return err
	}
	return fmt.Errorf("usage of %s is not what was sealed: %s: %s", row.Difference.Hour.Format(time.RFC3339), row.Difference.What, row.Difference.Detail)
}

func known(all map[time.Time]metering.Digest, text string) error {
	hour, hash, _ := strings.Cut(text, "=")
	t, err := time.Parse(time.RFC3339, hour)
	if err != nil {
		return err
	}
	b, err := hex.DecodeString(hash)
	if err != nil || len(b) != len(metering.Digest{}) {
		return fmt.Errorf("%q is not HOUR=HASH, as `primecloud usage verify` prints it", text)
	}
	all[t.UTC()] = metering.Digest(b)
	return nil
}

type adjustmentRow struct {
	Account    string    `json:"account"`
	Bucket     string    `json:"bucket"`
	Key        string    `json:"key"`
	Class      string    `json:"class"`
	Hour       time.Time `json:"hour"`
	SealHour   time.Time `json:"seal_hour"`
	RecordedAt time.Time `json:"recorded_at"`
	Requests   int64     `json:"requests"`
	Ingress    int64     `json:"ingress_bytes"`
	Egress     int64     `json:"egress_bytes"`
}

func (c *cli) usageAdjustments(ctx context.Context, args []string) error {
	f := c.flags("usage adjustments", "")
	account := f.String("account", "", "only this one")
	var from, to time.Time
	f.hours(&from, &to)
	if _, err := f.parse(args, 0); err != nil {
		return err
	}
	o, err := c.operator(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	id, err := o.accountID(ctx, *account)
	if err != nil {
		return err
	}
	all, err := metering.Adjustments(ctx, o.pool, id, from, to)
	if err != nil {
		return err
	}
	named, err := o.names(ctx, metering.ByBucket, metering.ByKey)
	if err != nil {
		return err
	}
	data, rows := make([]adjustmentRow, 0, len(all)), make([][]string, 0, len(all))
	for _, a := range all {
		r := adjustmentRow{
			named(a.Account.String()), named(a.Bucket.String()), named(a.AccessKey.String()), a.Class.String(), a.Hour, a.SealHour, a.Recorded.UTC(),
			a.Requests, a.Ingress, a.Egress,
		}
		data = append(data, r)
		rows = append(rows, []string{
			r.Account, r.Bucket, r.Key, r.Class, r.Hour.Format(time.RFC3339), r.SealHour.Format(time.RFC3339),
			fmt.Sprint(r.Requests), fmt.Sprint(r.Ingress), fmt.Sprint(r.Egress),
		})
	}
	return c.print(f.json, data, "ACCOUNT BUCKET KEY CLASS HOUR SEAL_HOUR REQUESTS INGRESS_BYTES EGRESS_BYTES", rows)
}

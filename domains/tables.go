package domains

import (
	"fmt"

	"github.com/primecloudpro/primecloud/internal/table"
)

// Overview is a row for each domain.
func Overview(list ...*Domain) table.Table {
	t := table.Table{Header: "HOST ACCOUNT PURPOSE STATE OWNERSHIP DNS CERTIFICATE"}
	for _, d := range list {
		t.Rows = append(t.Rows, []string{d.Host, d.Account, string(d.Purpose), string(d.State), string(d.Ownership.State), string(d.DNS.State), string(d.Certificate.State)})
	}
	return t
}

// Tables are the domain as people read it: in all, each part with its reason, and
// which records are expected and found. What was found is somebody else's text.
func (d *Domain) Tables() []table.Table {
	var records [][]string
	for _, r := range d.Records {
		records = append(records, []string{"expected", r.Type, r.Name, r.Value})
	}
	for _, part := range []Part{d.Ownership, d.DNS} {
		for _, r := range part.Found {
			records = append(records, []string{"found", r.Type, r.Name, fmt.Sprintf("%q", r.Value)})
		}
	}
	parts := [][]string{
		{"ownership", string(d.Ownership.State), d.Ownership.Reason}, {"dns", string(d.DNS.State), d.DNS.Reason}, {"certificate", string(d.Certificate.State), d.Certificate.Reason},
	}
	if d.CheckError != "" {
		parts = append(parts, []string{"last check", "unknown", d.CheckError})
	}
	return []table.Table{Overview(d), {Header: "WHAT STATE REASON", Rows: parts}, {Header: "RECORD TYPE NAME VALUE", Rows: records}}
}

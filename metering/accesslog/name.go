package accesslog

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// fileName is what a log file's name says: sorted by name, the files of a node
// stand in the order in which they were written, those of a kind.
type fileName struct {
	kind  string
	hour  time.Time  // in which it was begun, UTC
	epoch tenancy.ID // of the process's usage journal: version 7, so that epochs sort by age
	seq   int        // within the epoch
	node  string
}

const nameHour = "2006010215"

func (n *fileName) String() string {
	return fmt.Sprintf("%s-%s-%s-%06d-%s%s", n.kind, n.hour.UTC().Format(nameHour), n.epoch, n.seq, n.node, fileSuffix)
}

func parseName(name string) (fileName, bool) {
	var n fileName
	kind, rest, _ := strings.Cut(name, "-")
	if kind != ofProven && kind != ofUnproven && kind != ofSums {
		return n, false
	}
	rest, ends := strings.CutSuffix(rest, fileSuffix)
	const fixed = len(nameHour) + 1 + 36 + 1
	if !ends || len(rest) < fixed {
		return n, false
	}
	var err error
	if n.hour, err = time.Parse(nameHour, rest[:len(nameHour)]); err != nil {
		return n, false
	}
	if n.epoch, err = tenancy.ParseID(rest[len(nameHour)+1 : fixed-1]); err != nil {
		return n, false
	}
	if _, err = fmt.Sscanf(rest[fixed:], "%d-%s", &n.seq, &n.node); err != nil {
		return n, false
	}
	if n.kind = kind; n.String() != name {
		return fileName{}, false
	}
	return n, true
}

// kindOf is the kind that a log file's name says, "" for none.
func kindOf(file string) string {
	n, _ := parseName(filepath.Base(file))
	return n.kind
}

// byHour orders files as they were written, whatever their kinds.
func byHour(a, b string) int {
	a, b = filepath.Base(a), filepath.Base(b)
	_, restA, _ := strings.Cut(a, "-")
	_, restB, _ := strings.Cut(b, "-")
	return cmp.Or(strings.Compare(restA, restB), strings.Compare(a, b))
}

// nodeLabel makes a node's name fit for a file's: what is no letter, digit,
// dot or hyphen becomes a hyphen.
func nodeLabel(node string) string {
	label := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, node)
	if label == "" {
		return "-"
	}
	return label[:min(len(label), 100)]
}

package accesslog

import (
	"fmt"
	"strings"
	"time"

	"github.com/primecloudpro/primecloud/tenancy"
)

// fileName is what a log file's name says: sorted by name, the files of a node
// stand in the order in which they were written.
type fileName struct {
	hour  time.Time  // in which it was begun, UTC
	epoch tenancy.ID // of the process's usage journal: version 7, so that epochs sort by age
	seq   int        // within the epoch
	node  string
}

const nameHour = "2006010215"

func (n *fileName) String() string {
	return fmt.Sprintf("access-%s-%s-%06d-%s%s", n.hour.UTC().Format(nameHour), n.epoch, n.seq, n.node, fileSuffix)
}

func parseName(name string) (fileName, bool) {
	var n fileName
	rest, ok := strings.CutPrefix(name, "access-")
	rest, ends := strings.CutSuffix(rest, fileSuffix)
	const fixed = len(nameHour) + 1 + 36 + 1
	if !ok || !ends || len(rest) < fixed {
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
	return n, n.String() == name
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

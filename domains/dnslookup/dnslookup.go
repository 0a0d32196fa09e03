// Package dnslookup finds out what the DNS says of a name now: by asking the
// zone's own name servers, since what a resolver remembers is what the customer has
// changed just now; or a resolver, where an installation reaches no other.
package dnslookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ErrUnknown is that nobody who could have said it has answered: the record may
// exist or not.
var ErrUnknown = errors.New("the name servers gave no answer")

// Config says whom to ask. The zero value follows the delegation from the root.
type Config struct {
	// Resolver is an address and a port; it alone is asked when it is set.
	Resolver string
	// Roots are the addresses of the root's name servers; nil: those of the Internet.
	Roots []netip.Addr
	// Port of name servers; 0: 53.
	Port uint16
	// Private lets name servers be at addresses that are not public. Who owns a zone
	// chooses where its name servers are, and could have us ask at home.
	Private bool
	// Timeout of one question to one server; 0: 3 s.
	Timeout time.Duration
}

// Client asks. Its methods may be called by several goroutines at once.
type Client struct{ cfg Config }

// New makes a client.
func New(cfg Config) *Client {
	if cfg.Roots == nil {
		cfg.Roots = internetRoots
	}
	cfg.Port = cmp.Or(cfg.Port, 53)
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*time.Second)
	return &Client{cfg}
}

// Record is a resource record: names in lower case, without the dot at their end.
type Record struct {
	Type  string `json:"type"` // A, AAAA, CNAME or TXT
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kinds of records.
const (
	A     = "A"
	AAAA  = "AAAA"
	CNAME = "CNAME"
	TXT   = "TXT"
)

// Lookup returns the records of a kind that stand at the name itself, or the
// CNAME that stands there instead. It follows no CNAME. There is none, if the error
// is nil; otherwise it is ErrUnknown.
func (c *Client) Lookup(ctx context.Context, name, kind string) ([]Record, error) {
	budget := maxQuestions
	answer, err := c.ask(ctx, dns.CanonicalName(name), dns.StringToType[kind], &budget)
	if err != nil {
		return nil, fmt.Errorf("look up %s %s: %w", kind, name, err)
	}
	return recordsAt(answer, dns.CanonicalName(name)), nil
}

// Addresses returns the addresses of a name, wherever its CNAMEs lead.
func (c *Client) Addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	budget := maxQuestions
	list, err := c.addresses(ctx, dns.CanonicalName(name), &budget)
	if err != nil {
		return nil, fmt.Errorf("look up the addresses of %s: %w", name, err)
	}
	return list, nil
}

// maxQuestions bounds what one look-up asks: a zone can name servers whose names
// lead to further zones without end (CVE-2020-12662).
const maxQuestions = 60

func (c *Client) ask(ctx context.Context, name string, kind uint16, budget *int) (*dns.Msg, error) {
	if c.cfg.Resolver != "" {
		return c.askResolver(ctx, name, kind, budget)
	}
	return c.follow(ctx, name, kind, budget)
}

func (c *Client) askResolver(ctx context.Context, name string, kind uint16, budget *int) (*dns.Msg, error) {
	m, err := c.exchange(ctx, c.cfg.Resolver, name, kind, true, budget)
	switch {
	case err != nil:
		return nil, err
	case m.Rcode == dns.RcodeSuccess, m.Rcode == dns.RcodeNameError:
		return m, nil
	}
	return nil, fmt.Errorf("%w: the resolver says %s", ErrUnknown, dns.RcodeToString[m.Rcode])
}

// addresses follows CNAMEs, each asked for at its own zone's servers.
func (c *Client) addresses(ctx context.Context, name string, budget *int) (list []netip.Addr, err error) {
	for range 8 {
		next := ""
		list = list[:0]
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m, err := c.ask(ctx, name, kind, budget)
			if err != nil {
				return nil, err
			}
			for _, r := range recordsAt(m, name) {
				if a, err := netip.ParseAddr(r.Value); err == nil {
					list = append(list, a)
				} else if r.Type == CNAME {
					next = dns.CanonicalName(r.Value)
				}
			}
		}
		if next == "" {
			return list, nil
		}
		name = next
	}
	return nil, fmt.Errorf("%w: its CNAME records lead nowhere", ErrUnknown)
}

// recordsAt are the records of an answer that stand at name, which is canonical.
func recordsAt(m *dns.Msg, name string) (list []Record) {
	for _, rr := range m.Answer {
		if dns.CanonicalName(rr.Header().Name) != name {
			continue
		}
		r := Record{Name: plain(name)}
		switch rr := rr.(type) {
		case *dns.A:
			r.Type, r.Value = A, rr.A.String()
		case *dns.AAAA:
			r.Type, r.Value = AAAA, rr.AAAA.String()
		case *dns.CNAME:
			r.Type, r.Value = CNAME, plain(rr.Target)
		case *dns.TXT:
			r.Type, r.Value = TXT, strings.Join(rr.Txt, "")
		default:
			continue
		}
		if !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list
}

func plain(name string) string { return strings.TrimSuffix(dns.CanonicalName(name), ".") }

// exchange asks one server: by TCP, whose answers nobody forges from afar, since
// they prove who owns a name; by UDP those that speak no TCP.
func (c *Client) exchange(ctx context.Context, server, name string, kind uint16, recurse bool, budget *int) (*dns.Msg, error) {
	if *budget--; *budget < 0 {
		return nil, fmt.Errorf("%w: the delegation has too many steps", ErrUnknown)
	}
	q := new(dns.Msg).SetQuestion(name, kind)
	q.RecursionDesired = recurse
	q.SetEdns0(1232, false)
	var causes []string
	for _, network := range []string{"tcp", "udp"} {
		client := dns.Client{Net: network, Timeout: c.cfg.Timeout}
		m, _, err := client.ExchangeContext(ctx, q, server)
		switch {
		case err != nil:
			causes = append(causes, err.Error())
		case m.Truncated:
			causes = append(causes, "the answer is cut short")
		case len(m.Question) != 1 || dns.CanonicalName(m.Question[0].Name) != name || m.Question[0].Qtype != kind:
			causes = append(causes, "the answer is to another question")
		default:
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: %s: %s", ErrUnknown, server, strings.Join(causes, "; "))
}

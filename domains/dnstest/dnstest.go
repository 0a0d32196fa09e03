// Package dnstest is an authoritative name server for tests.
package dnstest

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server answers for what Set was told, and says that there is nothing else below
// its zones. What is below an NS record it delegates.
type Server struct {
	Addr string // as a resolver
	Port uint16

	tcp net.Listener
	udp net.PacketConn

	mu      sync.Mutex
	records map[string][]dns.RR // by name
	rcode   int                 // of every answer, unless 0
	asked   int
}

// New starts one on a free port of 127.0.0.1, until the test ends.
func New(t testing.TB) *Server { return Fleet(t, 1)[0] }

// Fleet starts n of them, on one port of 127.0.0.1, 127.0.0.2 and so on.
func Fleet(t testing.TB, n int) []*Server {
	t.Helper()
	for range 100 { // another process may have the port at one of the addresses
		if list := fleet(t, n); len(list) == n {
			for _, s := range list {
				s.serve(t)
			}
			return list
		}
	}
	t.Fatal("there is no port that is free at all addresses")
	return nil
}

func fleet(t testing.TB, n int) (list []*Server) {
	port := uint16(0)
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", i+1, port))
		if err != nil {
			return list
		}
		packets, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			_ = l.Close()
			return list
		}
		t.Cleanup(func() { _, _ = l.Close(), packets.Close() })
		port = uint16(l.Addr().(*net.TCPAddr).Port)
		list = append(list, &Server{Addr: l.Addr().String(), Port: port, tcp: l, udp: packets, records: map[string][]dns.RR{}})
	}
	return list
}

func (s *Server) serve(t testing.TB) {
	for _, server := range []*dns.Server{{Listener: s.tcp, Handler: s}, {PacketConn: s.udp, Handler: s}} {
		var running sync.WaitGroup
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		running.Go(func() { _ = server.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = server.Shutdown(); running.Wait() })
	}
}

// Set replaces the records of a name by those, which are written as in a zone's
// file without their owner: "TXT hello".
func (s *Server) Set(t testing.TB, name string, records ...string) {
	t.Helper()
	list := make([]dns.RR, len(records))
	for i, r := range records {
		rr, err := dns.NewRR(dns.Fqdn(name) + " 60 IN " + r)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = rr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[dns.CanonicalName(name)] = list
}

// Fail has every answer be of that code from now on, such as dns.RcodeServerFailure; 0: none.
func (s *Server) Fail(rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcode = rcode
}

// Asked is how many questions came.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := dns.CanonicalName(q.Question[0].Name)
	switch {
	case s.rcode != 0:
		m.Rcode = s.rcode
	case s.delegate(m, name):
	case len(s.records[name]) == 0:
		m.Rcode = dns.RcodeNameError
	default:
		for _, rr := range s.records[name] {
			if t := rr.Header().Rrtype; t == q.Question[0].Qtype || t == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	_ = w.WriteMsg(m)
}

// delegate refers to the servers of a zone that has the name.
func (s *Server) delegate(m *dns.Msg, name string) bool {
	for zone, rrs := range s.records {
		if len(rrs) == 0 || rrs[0].Header().Rrtype != dns.TypeNS || !dns.IsSubDomain(zone, name) {
			continue
		}
		m.Authoritative, m.Ns = false, rrs
		for _, rr := range rrs {
			m.Extra = append(m.Extra, s.records[dns.CanonicalName(rr.(*dns.NS).Ns)]...)
		}
		return true
	}
	return false
}

package testenv

import (
	"errors"
	"net"
	"testing"
)

// TCPPair is a connection of the loopback interface, as its server and its client
// have it. Both are closed at the end of the test.
func TCPPair(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(accepted.Close(), dialled.Close()) })
	return accepted.(*net.TCPConn), dialled.(*net.TCPConn)
}

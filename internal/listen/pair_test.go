package listen_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primecloudpro/primecloud/internal/listen"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// secure serves a pair on a socket, each line of a connection sent back.
func secure(t *testing.T, pair *listen.Pair) (addr string) {
	t.Helper()
	server, echo := listen.New(listen.Config{}), listen.NewReceiver()
	l := listenTCP(t)
	var running sync.WaitGroup
	running.Go(func() { checkNil(t, server.ServeTLS(l, pair.Config(), listen.Routes{Default: echo})) })
	running.Go(func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		checkNil(t, errors.Join(server.Shutdown(), echo.Close()))
		running.Wait()
	})
	return l.Addr().String()
}

// talk sends a line and wants it back.
func talk(c *tls.Conn, r *bufio.Reader) error {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	line, err := r.ReadString('\n')
	if line != "hello\n" {
		return fmt.Errorf("%q, %w", line, err)
	}
	return nil
}

// serialOf is the certificate that a new handshake is shown.
func serialOf(t *testing.T, addr string) string {
	t.Helper()
	c := testenv.Must(tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}))(t)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A pair is replaced under connections: those that are open go on, all handshakes
// succeed, and those that begin afterwards get the new one.
func TestPair_Load(t *testing.T) {
	t.Parallel()
	dir, metrics := t.TempDir(), prometheus.NewRegistry()
	first := testenv.WriteCertificate(t, dir, -time.Hour, time.Hour)
	pair := testenv.Must(listen.LoadPair(first.CertFile, first.KeyFile, nil, metrics))(t)
	addr := secure(t, pair)
	var stop atomic.Bool
	var handshakes atomic.Int64
	var running sync.WaitGroup
	for range 4 { // new connections all the time
		running.Go(func() {
			for !stop.Load() {
				c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Errorf("a handshake: %v", err)
					return
				}
				checkNil(t, talk(c, bufio.NewReader(c)))
				_ = c.Close()
				handshakes.Add(1)
			}
		})
	}
	kept := testenv.Must(tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}))(t)
	defer kept.Close()
	reader := bufio.NewReader(kept)
	for i := range 20 {
		next := testenv.WriteCertificate(t, dir, -time.Hour, time.Duration(i+1)*time.Hour)
		checkNil(t, pair.Load(next.CertFile, next.KeyFile))
		if got := serialOf(t, addr); got != next.SerialNumber.String() {
			t.Errorf("a handshake after the %dth replacement gets the certificate %s, want %s", i, got, next.SerialNumber)
		}
		checkNil(t, talk(kept, reader))
		if got := testenv.Metric(t, metrics, "primecloud_tls_certificate_expiry_timestamp_seconds", "setting=tls.cert"); got != float64(next.NotAfter.Unix()) {
			t.Errorf("the metric is %v, want %v", got, next.NotAfter.Unix())
		}
		more := handshakes.Load() + 2
		testenv.WaitFor(t, "more handshakes", func() bool { return handshakes.Load() >= more || t.Failed() })
	}
	stop.Store(true)
	running.Wait()
}

// What cannot be used leaves the old pair in use, and the error names the files.
func TestPair_bad(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, file, text string) {
		t.Helper()
		checkNil(t, os.WriteFile(file, []byte(text), 0o600))
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		says  string
	}{
		"a key of another": {func(t *testing.T, dir string) {
			copyFile(t, testenv.WriteCertificate(t, t.TempDir(), -time.Hour, time.Hour).KeyFile, dir+"/tls.key")
		}, "does not match"},
		"a certificate alone": {func(t *testing.T, dir string) {
			copyFile(t, testenv.WriteCertificate(t, t.TempDir(), -time.Hour, time.Hour).CertFile, dir+"/tls.crt")
		}, "does not match"},
		"half a certificate":    {func(t *testing.T, dir string) { checkNil(t, os.Truncate(dir+"/tls.crt", 300)) }, "PEM"},
		"an empty key":          {func(t *testing.T, dir string) { write(t, dir+"/tls.key", "") }, "PEM"},
		"no key":                {func(t *testing.T, dir string) { checkNil(t, os.Remove(dir+"/tls.key")) }, "no such file"},
		"one that expired":      {func(t *testing.T, dir string) { testenv.WriteCertificate(t, dir, -time.Hour, -time.Minute) }, "expired at"},
		"one of the next month": {func(t *testing.T, dir string) { testenv.WriteCertificate(t, dir, 720*time.Hour, 1440*time.Hour) }, "not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first := testenv.WriteCertificate(t, dir, -time.Hour, time.Hour)
			pair := testenv.Must(listen.LoadPair(first.CertFile, first.KeyFile, nil, nil))(t)
			addr := secure(t, pair)
			c.spoil(t, dir)
			err := pair.Load(first.CertFile, first.KeyFile)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), first.CertFile) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want a sentence with %q and the file", err, c.says)
			}
			if got := serialOf(t, addr); got != first.SerialNumber.String() || pair.Invalid() != nil {
				t.Errorf("the old pair is not in use: %s, %v", got, pair.Invalid())
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	checkNil(t, os.WriteFile(to, testenv.Must(os.ReadFile(from))(t), 0o600))
}

// A node starts with a certificate whose time is over, says so, and not any more when
// it is replaced.
func TestPair_expires(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := testenv.NewClock(time.Now())
	first := testenv.WriteCertificate(t, dir, -time.Hour, time.Hour)
	pair := testenv.Must(listen.LoadPair(first.CertFile, first.KeyFile, clock.Now, nil))(t)
	checkNil(t, pair.Invalid())
	clock.Advance(2 * time.Hour)
	if err := pair.Invalid(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its time: %v", err)
	}
	next := testenv.WriteCertificate(t, dir, -time.Hour, 24*time.Hour)
	checkNil(t, errors.Join(pair.Load(next.CertFile, next.KeyFile), pair.Invalid()))
}

// failing is a listener that has no descriptors while failing is set.
type failing struct {
	net.Listener
	failing atomic.Bool
}

func (f *failing) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err == nil && f.failing.Load() {
		_ = c.Close()
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return c, err
}

// A listener that cannot accept is named while that lasts, and one that has ended from
// then on; its server says that it ended.
func TestServer_Accepting(t *testing.T) {
	t.Parallel()
	server, to := listen.New(listen.Config{}), listen.NewReceiver()
	if err := server.Accepting(); err != nil {
		t.Errorf("without listeners: %v", err)
	}
	greet(t, to, "here")
	good, poor := listenTCP(t), &failing{Listener: listenTCP(t)}
	var running sync.WaitGroup
	running.Go(func() { checkNil(t, server.Serve(good, to)) })
	ended := make(chan error, 1)
	running.Go(func() { ended <- server.Serve(poor, to) })
	t.Cleanup(func() {
		checkNil(t, server.Shutdown())
		running.Wait()
	})
	reaches := func(l net.Listener) bool {
		line, _ := bufio.NewReader(dial(t, l.Addr().String())).ReadString('\n')
		return line == "here\n"
	}
	testenv.WaitFor(t, "both listeners", func() bool { return reaches(good) && reaches(poor) && server.Accepting() == nil })
	poor.failing.Store(true)
	testenv.WaitFor(t, "the failure to be said", func() bool {
		reaches(poor)
		err := server.Accepting()
		return err != nil && strings.Contains(err.Error(), poor.Addr().String()+" cannot accept")
	})
	poor.failing.Store(false)
	testenv.WaitFor(t, "the listener to be well again", func() bool { return reaches(poor) && server.Accepting() == nil })
	poor.failing.Store(true)
	reaches(poor)
	testenv.WaitFor(t, "a failure that nobody sees any more to be forgotten", func() bool { return server.Accepting() == nil })
	checkNil(t, poor.Close())
	if err := <-ended; err == nil {
		t.Error("a listener that something has closed ends without an error")
	}
	if err := server.Accepting(); err == nil || !strings.Contains(err.Error(), poor.Addr().String()+" has ended") {
		t.Errorf("a listener that has ended: %v", err)
	}
	checkNil(t, server.Shutdown())
}

// Networks that are trusted from now on have any number of connections, and places are
// given back as they were taken.
func TestServer_SetTrustedProxies(t *testing.T) {
	t.Parallel()
	f := newFixture(t, listen.Config{PerAddress: 1})
	accepted := greet(t, f.s3, "s3")
	reach := func() (end func() error) { // of the server's side, which gives the place back
		if line, _ := bufio.NewReader(dial(t, f.addr)).ReadString('\n'); line == "" {
			return nil
		}
		return (<-accepted).Close
	}
	counted := reach()
	if counted == nil || reach() != nil {
		t.Fatal("one address has not one connection")
	}
	f.server.SetTrustedProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	trusted := []func() error{reach(), reach()}
	if trusted[0] == nil || trusted[1] == nil {
		t.Fatal("a trusted network's connection is refused")
	}
	checkNil(t, counted()) // it was counted, and gives its place back though it would not be counted now
	f.server.SetTrustedProxies(nil)
	if counted = reach(); counted == nil {
		t.Fatal("a place that was given back is taken")
	}
	checkNil(t, errors.Join(trusted[0](), trusted[1]())) // these were not
	if reach() != nil {
		t.Error("a second connection of the address is let in")
	}
}

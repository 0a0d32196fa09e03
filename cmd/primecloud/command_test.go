package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/primecloudpro/primecloud/internal/pg"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// fixedAddr is an address of loopback that a process can have again when it comes back: none
// that the kernel gives to who asks for any.
func fixedAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("there is no free port")
	return ""
}

// serveCommand runs `primecloud serve` with these arguments as people do, on fixed
// addresses, and waits until it is ready.
func (in *installation) serveCommand(p *process, args ...string) {
	in.t.Helper()
	p.log = &testenv.Buffer{}
	p.cmd = exec.CommandContext(context.WithoutCancel(in.t.Context()), os.Args[0], append([]string{"serve", "--s3-addr", p.addrs.S3, "--admin-addr", p.addrs.Admin}, args...)...)
	p.cmd.Env = append(append(os.Environ(), "PRIMECLOUD_CHILD_COMMAND=1", "PRIMECLOUD_DATABASE_URL="+in.url(pg.RoleGateway), "PRIMECLOUD_WORKER_DATABASE_URL="+in.url(pg.RoleWorker)), in.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	testenv.WaitFor(in.t, "the node to serve", func() bool { return status(in.t, p, "/readyz") == http.StatusOK })
}

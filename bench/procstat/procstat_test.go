package procstat_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/primecloudpro/primecloud/bench/procstat"
	"github.com/primecloudpro/primecloud/internal/testenv"
)

// TestGroup_CPU: what the kernel's clock says of a child is what the child's
// accounting says when it is over, its own children included.
func TestGroup_CPU(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done & wait; echo done; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var g procstat.Group
	testenv.WaitFor(t, "the child's child", func() bool { g = procstat.Of(cmd.Process.Pid); return len(g) == 2 })
	var most time.Duration
	testenv.WaitFor(t, "the child's child to have worked", func() bool {
		cpu, err := g.CPU()
		most = max(most, cpu)
		return err != nil // it has ended
	})
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		// read fails at the end of its input, which is not what is tested.
		t.Log(err)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if most < used/2 || most > used+20*time.Millisecond {
		t.Errorf("the clock said %v, the accounting says %v", most, used)
	}
}

func TestGroup_memory(t *testing.T) {
	t.Parallel()
	g := procstat.Of(os.Getpid())[:1]
	big, err := syscall.Mmap(-1, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	with, err := g.Resident()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Munmap(big); err != nil {
		t.Fatal(err)
	}
	peak, err := g.Peak()
	if err != nil || peak < 64<<20 || with < 64<<20 {
		t.Errorf("peak %d, resident %d, %v", peak, with, err)
	}
	if err := g.ResetPeak(); err != nil {
		t.Fatal(err)
	}
	if after, err := g.Peak(); err != nil || after > peak-(32<<20) {
		t.Errorf("peak %d after it was %d, %v", after, peak, err)
	}
}

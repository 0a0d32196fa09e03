package node

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// SignalContext ends with the first signal; a second one ends the process at once,
// also where its parent has it ignore them.
func SignalContext() (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		if s, ok := (<-signals).(syscall.Signal); ok {
			os.Exit(128 + int(s)) // as a shell says of a process that a signal ended
		}
	}()
	return ctx, stop
}

// Hangup is for Config: from now on SIGHUP makes the process read its files again, and
// does not end it.
func Hangup() <-chan os.Signal {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	return hangups
}

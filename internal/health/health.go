// Package health says whether a node should get requests, and why not: it asks
// named checks, and answers balancers and orchestrators over HTTP.
package health

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Check is one thing that a node needs.
type Check struct {
	// Name is fixed and short: "clock", "journal".
	Name string
	// Look says how it is now. It answers from memory: anybody on the network may ask,
	// and a balancer asks several times a second. It may be called by several goroutines.
	Look func() Result
}

// Result is how a check is.
type Result struct {
	// OK is whether the node can do its work as far as this goes.
	OK bool
	// Reason is a sentence: why not, or what an operator should know although it is.
	// It has no secrets, and nothing that a client chose.
	Reason string
}

// Good is the result of what is in order.
func Good() Result { return Result{OK: true} }

// Notice is the result of what does not keep the node from its work, and should be known.
func Notice(format string, args ...any) Result {
	return Result{OK: true, Reason: fmt.Sprintf(format, args...)}
}

// Bad is the result of what keeps the node from its work.
func Bad(format string, args ...any) Result { return Result{Reason: fmt.Sprintf(format, args...)} }

// Status is what a node says of itself in a word or two.
type Status string

// The values of Status. With the first alone a node should get requests.
const (
	Ready    Status = "ready"
	NotReady Status = "not ready"
	Draining Status = "draining"
)

// Outcome is a check's result under its name.
type Outcome struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Endpoint is a server that requests are sent on to. It decides nothing: all nodes
// have the same ones, and a balancer without nodes helps nobody.
type Endpoint struct {
	Backend  string     `json:"backend"`
	Endpoint string     `json:"endpoint"`
	Up       bool       `json:"up"`
	Error    string     `json:"last_error,omitempty"` // its class, such as "connection refused"
	FailedAt *time.Time `json:"last_failed_at,omitempty"`
}

// Report is the body of /readyz.
type Report struct {
	Status   Status     `json:"status"`
	Checks   []Outcome  `json:"checks"`
	Backends []Endpoint `json:"backends,omitempty"`
}

// Look asks checks in their order: the report is ready when all are in order.
func Look(checks []Check) Report {
	r := Report{Status: Ready, Checks: make([]Outcome, len(checks))}
	for i, c := range checks {
		result := c.Look()
		r.Checks[i] = Outcome{c.Name, result.OK, result.Reason}
		if !result.OK {
			r.Status = NotReady
		}
	}
	return r
}

// Code is the HTTP status of an answer that says s.
func (s Status) Code() int {
	if s == Ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// Live answers /livez: the process runs. Who restarts processes asks this. It says
// nothing of what the node needs, which a restart would not bring.
func Live(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, map[string]string{"status": "ok"})
}

// Handler answers /readyz with what look says.
func Handler(look func() Report) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		r := look()
		write(w, r.Status.Code(), r)
	}
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // who asked may have gone
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// serve reads the file that --config or PRIMECLOUD_CONFIG names, however it is
// written, and says everything that is wrong in it before anything starts.
func TestServe_configFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "primecloud.toml")
	if err := os.WriteFile(file, []byte("s3_addr = ':1'\n[log]\nformat = 'xml'\n[journal]\nflush_interval = 'often'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"flag and value": {"serve", "--config", file}, "flag=value": {"serve", "--config=" + file}, "variable": {"serve"}, "before the command": {"--config", file, "serve"},
	} {
		in := &installation{t: t}
		if name == "variable" {
			in.env = []string{"PRIMECLOUD_CONFIG=" + file}
		}
		_, err := in.run(args...)
		for _, want := range []string{"there is no setting s3_addr; write addr in [s3]", "journal.flush_interval: "} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
		if exitCode(err) != exitUsage {
			t.Errorf("%s: exit code %d", name, exitCode(err))
		}
	}
	// What the settings say together is looked at with all of them.
	_, err := (&installation{t: t}).run("serve", "--s3-addr=", "--log-format", "xml", "--s3-public-scheme=ftp", "--s3-max-buckets=0")
	if exitCode(err) != exitUsage {
		t.Errorf("exit code %d", exitCode(err))
	}
	for _, want := range []string{"database.url", "keyring", "s3.addr", "log.format", "s3.public_scheme", "s3.max_buckets"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err := (&installation{t: t}).run("serve", "--database-url", "postgres://me:hush@x"); err == nil || !strings.Contains(err.Error(), "PRIMECLOUD_DATABASE_URL_FILE") || strings.Contains(err.Error(), "hush") {
		t.Errorf("a secret on the command line: %v", err)
	}
}

// What cannot be understood is exit code 2 and says what to do; what fails is 1.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		want string // in what is printed or the error
	}{
		{nil, exitUsage, "multi-tenant S3 gateway"},
		{[]string{"help"}, 0, "multi-tenant S3 gateway"},
		{[]string{"--help"}, 0, "Running"},
		{[]string{"help", "key", "create"}, 0, "--import-secret-file"},
		{[]string{"key", "create", "--help"}, 0, "--import-secret-file"},
		{[]string{"help", "serve"}, 0, "--access-log-dir"},
		{[]string{"acount", "list"}, exitUsage, `did you mean "account"`},
		{[]string{"account", "lst"}, exitUsage, `did you mean "list"`},
		{[]string{"account", "create"}, exitUsage, "<name>"},
		{[]string{"account", "create", "a", "b"}, exitUsage, "unexpected argument b"},
		{[]string{"account", "create", "a", "--dispay-name=x"}, exitUsage, `did you mean "--display-name"`},
		{[]string{"account", "limit", "a", "--egress-budget", "10G"}, exitUsage, "10GB (10^9)"},
		{[]string{"account", "limit", "a", "--egress-budget", "1GB/firm"}, exitUsage, "1GB/hard or 1GB/soft"},
		{[]string{"account", "limit", "a", "--concurrent", "0"}, exitUsage, "suspend the account"},
		{[]string{"usage", "verify", "--known", "x=y"}, exitUsage, "not HOUR=HASH"},
		{[]string{"usage", "reconcile", "--tolerance", "much"}, exitUsage, "0.1%"},
		{[]string{"node", "retire", "x"}, exitUsage, "epoch"},
		{[]string{"account", "list"}, exitUsage, "PRIMECLOUD_OWNER_DATABASE_URL"},
		{[]string{"version", "--json"}, 0, `"version": `},
		{[]string{"--json", "version"}, 0, `"version": `},
	} {
		out, err := (&installation{t: t}).run(c.args...)
		text := out
		if err != nil {
			text += err.Error()
		}
		if exitCode(err) != c.code || !strings.Contains(text, c.want) {
			t.Errorf("%q: exit code %d, want %d, and %q in: %s", c.args, exitCode(err), c.code, c.want, text)
		}
	}
}

// A command that was understood and fails is 1.
func TestExitCode_failed(t *testing.T) {
	t.Parallel()
	in := &installation{t: t, env: []string{"PRIMECLOUD_OWNER_DATABASE_URL=postgres://127.0.0.1:1/nowhere", "PRIMECLOUD_KEYRING=none"}}
	if _, err := in.run("node", "list"); exitCode(err) != exitFailed {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

// A shell that asks for completions, by the variable COMP_LINE, is told them.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"primecloud acc": "account\n", "primecloud account su": "suspend\n", "primecloud account suspend --re": "--read-only\n",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "PRIMECLOUD_CHILD_COMMAND=1", "COMP_LINE="+line, "COMP_POINT="+strconv.Itoa(len(line)))
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%q: %q, %v; want %q", line, out, err, want)
		}
	}
	if out, err := (&installation{t: t}).run("completion", "bash"); err != nil || !strings.Contains(out, "source <(primecloud completion -c bash)") {
		t.Errorf("%q, %v", out, err)
	}
}

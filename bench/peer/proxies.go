package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"

	"github.com/primecloudpro/primecloud/internal/devstack"
)

// ErrNotInstalled means that a peer is not on this machine and could not be put there.
var ErrNotInstalled = errors.New("not installed")

// debian finds a program, or installs its Debian package.
func (l *Lab) debian(ctx context.Context, program, pkg string) (string, error) {
	find := func() (string, error) {
		for _, name := range []string{program, "/usr/sbin/" + program} {
			if path, err := exec.LookPath(name); err == nil {
				return path, nil
			}
		}
		return "", fmt.Errorf("%s: %w; on Debian: apt-get install %s", program, ErrNotInstalled, pkg)
	}
	path, err := find()
	if err == nil || os.Geteuid() != 0 {
		return path, err
	}
	apt, aerr := exec.LookPath("apt-get")
	if aerr != nil {
		return "", err
	}
	fmt.Fprintf(l.Log, "installing %s (apt-get install %s)\n", program, pkg)
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", pkg}} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, aerr := cmd.CombinedOutput(); aerr != nil {
			return "", fmt.Errorf("%w: apt-get %s: %s", err, strings.Join(args, " "), out)
		}
	}
	return find()
}

// proxy fills a template and starts a program that passes requests on unread:
// they are signed for what is behind it.
func (l *Lab) proxy(ctx context.Context, name string, behind *Server, config *template.Template, options any, command func(file string) *exec.Cmd) (*Server, error) {
	s := &Server{Name: name, Host: behind.Host, AccessKey: behind.AccessKey, SecretKey: behind.SecretKey}
	if err := freeAddrs(&s.Addr, &s.TLSAddr); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := config.Execute(&text, map[string]any{
		"Addr": s.Addr, "TLSAddr": s.TLSAddr, "Backend": behind.Addr, "Threads": runtime.GOMAXPROCS(0), "Dir": l.dir, "Options": options, "Name": fileName(name),
		"Connections": maxConnections(),
	}); err != nil {
		return nil, err
	}
	file := l.path(fileName(name) + ".conf")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return s, l.start(ctx, s, command(file))
}

// maxConnections is how many a proxy can take: each has two ends, and some
// files are open besides.
func maxConnections() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1000
	}
	return int(min(r.Max, 100_000)-500) / 2
}

var nginxConfig = template.Must(template.New("nginx").Parse(`
worker_processes {{.Threads}};
daemon off;
pid {{.Dir}}/{{.Name}}.pid;
error_log stderr error;
{{with .Options.User}}user {{.}};{{end}}
events { worker_connections {{.Connections}}; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/{{.Name}}-body;
	proxy_temp_path {{.Dir}}/{{.Name}}-proxy;
	fastcgi_temp_path {{.Dir}}/{{.Name}}-f;
	uwsgi_temp_path {{.Dir}}/{{.Name}}-u;
	scgi_temp_path {{.Dir}}/{{.Name}}-s;
	keepalive_requests 1000000000;
	keepalive_timeout 600s;
	client_max_body_size 0;
	ssl_certificate {{.Dir}}/tls.crt;
	ssl_certificate_key {{.Dir}}/tls.key;
	upstream backend {
		server {{.Backend}};
		keepalive 1024;
		keepalive_requests 1000000000;
	}
	server {
		listen {{.Addr}} backlog=4096;
		listen {{.TLSAddr}} ssl backlog=4096;
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_buffering {{.Options.Buffering}};
			proxy_request_buffering {{.Options.Buffering}};
		}
	}
}
`))

// Nginx starts nginx in front of a backend, with a worker for each processor.
func (l *Lab) Nginx(ctx context.Context, behind *Server, buffered bool) (*Server, error) {
	bin, err := l.debian(ctx, "nginx", "nginx-light")
	if err != nil {
		return nil, err
	}
	name, options := "nginx unbuffered", struct{ User, Buffering string }{"", "off"}
	if buffered {
		name, options.Buffering = "nginx buffered", "on"
	}
	if os.Geteuid() == 0 {
		options.User = "root" // the folder is ours alone
	}
	return l.proxy(ctx, name, behind, nginxConfig, options, func(file string) *exec.Cmd {
		return exec.Command(bin, "-e", "stderr", "-p", l.dir, "-c", file)
	})
}

var haproxyConfig = template.Must(template.New("haproxy").Parse(`
global
	nbthread {{.Threads}}
	ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
	mode http
	option http-keep-alive
	option splice-auto
	http-reuse always
	timeout connect 10s
	timeout client 600s
	timeout server 600s
frontend f
	bind {{.Addr}} backlog 4096
	bind {{.TLSAddr}} ssl crt {{.Dir}}/haproxy.pem backlog 4096
	default_backend b
backend b
	server s {{.Backend}} pool-max-conn -1
`))

// HAProxy starts HAProxy in front of a backend, with a thread for each processor.
func (l *Lab) HAProxy(ctx context.Context, behind *Server) (*Server, error) {
	bin, err := l.debian(ctx, "haproxy", "haproxy")
	if err != nil {
		return nil, err
	}
	var pem []byte
	for _, f := range []string{"tls.crt", "tls.key"} {
		b, err := os.ReadFile(l.path(f))
		if err != nil {
			return nil, err
		}
		pem = append(pem, b...)
	}
	if err := os.WriteFile(l.path("haproxy.pem"), pem, 0o600); err != nil {
		return nil, err
	}
	return l.proxy(ctx, "HAProxy", behind, haproxyConfig, nil, func(file string) *exec.Cmd { return exec.Command(bin, "-db", "-f", file) })
}

// VersityModule is the version of versitygw that is measured.
const VersityModule = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// Versity starts versitygw's S3 proxy, which verifies and re-signs as
// PrimeCloud does; with kept-alive connections and without its SDK's checksums of
// uploads, which over plain HTTP it cannot compute: neither is its default. One
// process of it speaks either HTTP or HTTPS.
func (l *Lab) Versity(ctx context.Context, behind *Server, secure bool) (*Server, error) {
	bin, err := devstack.EnsureTool(ctx, "versitygw", VersityModule, l.Log)
	if err != nil {
		return nil, fmt.Errorf("versitygw: %w: %w", ErrNotInstalled, err)
	}
	s := &Server{Name: "versitygw"}
	s.AccessKey, s.SecretKey = "versity", "only on this machine, for a while"
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s.Host = addr
	args := []string{"--port", addr, "--region", Region, "--quiet", "--keep-alive"}
	if secure {
		s.TLSAddr = addr
		args = append(args, "--cert", l.path("tls.crt"), "--key", l.path("tls.key"))
	} else {
		s.Addr = addr
	}
	cmd := exec.Command(bin, append(args, "s3", "--endpoint", "http://"+behind.Addr, "--region", Region, "--use-path-style", "--disable-data-integrity-check")...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "VGW_") { // it refuses to start with AWS_CA_BUNDLE
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "ROOT_ACCESS_KEY_ID="+s.AccessKey, "ROOT_SECRET_ACCESS_KEY="+s.SecretKey,
		"VGW_S3_ACCESS_KEY="+behind.AccessKey, "VGW_S3_SECRET_KEY="+behind.SecretKey)
	return s, l.start(ctx, s, cmd)
}

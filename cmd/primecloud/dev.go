package main

import (
	"context"

	"github.com/primecloudpro/primecloud/internal/dev"
	"github.com/primecloudpro/primecloud/internal/devstack"
	"github.com/primecloudpro/primecloud/internal/node"
)

type devCommand struct {
	Data      string `default:".primecloud" help:"Where everything is kept."`
	S3Addr    string `name:"s3-addr" default:"127.0.0.1:9000" help:"S3; port 0 picks a free one."`
	TLSAddr   string `name:"tls-addr" default:"127.0.0.1:9443" help:"S3 with TLS; empty: none."`
	AdminAddr string `default:"127.0.0.1:9090" help:"Metrics, health and pprof."`
	TLSCert   string `name:"tls-cert" help:"Certificate chain; one is made by default."`
	TLSKey    string `name:"tls-key" help:"Its private key."`
	LogLevel  string `default:"warn" help:"debug, info, warn or error."`
	OnlyTools bool   `help:"Build and find what is needed, and stop."`
}

func (d *devCommand) Run(ctx context.Context, c *cli) error {
	if d.OnlyTools {
		return devstack.EnsureServers(ctx, c.err)
	}
	cfg := dev.Config{Dir: d.Data, Node: node.DefaultConfig(), Getenv: c.getenv, Out: c.out, Log: c.err}
	cfg.Node.S3.Addr, cfg.Node.Admin.Addr, cfg.Node.Log.Level = d.S3Addr, d.AdminAddr, d.LogLevel
	cfg.Node.TLS = node.TLS{Addr: d.TLSAddr, Cert: d.TLSCert, Key: d.TLSKey}
	return dev.Run(ctx, cfg)
}

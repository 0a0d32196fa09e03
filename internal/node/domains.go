package node

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/primecloudpro/primecloud/domains"
	"github.com/primecloudpro/primecloud/domains/dnslookup"
	"github.com/primecloudpro/primecloud/proxy"
)

// DomainRules is what the settings say of customers' domains, or all that is wrong
// with them.
func (cfg *Config) DomainRules() (domains.Config, error) {
	d := &cfg.Domains
	rules := domains.Config{Target: d.Target, Most: d.Most, DNS: dnslookup.New(dnslookup.Config{Resolver: d.Resolver})}
	rules.Platform = append(append(append(rules.Platform, cfg.S3.Hosts...), cfg.S3.TenantDomain), d.Reserved...)
	var errs []error
	if err := proxy.CheckHosts(nil, d.Target); err != nil {
		errs = append(errs, fmt.Errorf("domains.target: %q is not a host name; write it without scheme, port, path and wildcard", d.Target))
	}
	for _, name := range d.Reserved {
		if proxy.CheckHosts([]string{name}, "") != nil {
			errs = append(errs, fmt.Errorf("domains.reserved: %q is not a host name; write it without scheme, port, path and wildcard: all below it is reserved too", name))
		}
	}
	for _, text := range d.Addresses {
		a, err := netip.ParseAddr(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("domains.addresses: %q is not an IP address; write one like 192.0.2.1", text))
		}
		rules.Addresses = append(rules.Addresses, a)
	}
	if d.Resolver != "" {
		if _, err := netip.ParseAddrPort(d.Resolver); err != nil {
			errs = append(errs, fmt.Errorf("domains.resolver: %q is not an IP address and a port; write them as in 10.0.0.53:53", d.Resolver))
		}
	}
	if d.Most <= 0 {
		errs = append(errs, fmt.Errorf("domains.most: %d is no number of domains; write 1 or more", d.Most))
	}
	return rules, errors.Join(errs...)
}

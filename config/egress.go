package config

import (
	"net/netip"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Egress says which addresses webhooks may and may not be sent to, beyond the
// sender's own defaults. Allow wins over Deny.
type Egress struct {
	Allow, Deny []netip.Prefix
}

func (l *loader) decodeEgress() {
	b := l.one("egress")
	if b == nil {
		return
	}
	l.config.Egress = Egress{Allow: b.prefixes("allow"), Deny: b.prefixes("deny")}
}

func (b *block) prefixes(argument string) []netip.Prefix {
	prefixes, _, _ := list(b, argument, `a list of networks, such as ["10.0.0.0/8"]`, func(expr hclsyntax.Expression) (netip.Prefix, bool) {
		text, ok := b.loader.text(expr, argument, `networks in quotes, such as "10.0.0.0/8"`)
		if !ok {
			return netip.Prefix{}, false
		}
		prefix, ok := parsePrefix(text)
		if !ok {
			b.fail(expr.Range(), `Invalid network`, `Write an address or a network, such as "10.1.2.3", "10.0.0.0/8" or "fd00::/8". Names of hosts are not resolved here.`)
			return netip.Prefix{}, false
		}
		return prefix, true
	})
	return valuesOf(prefixes)
}

// parsePrefix reads a network; a single address is the network of it alone.
func parsePrefix(s string) (netip.Prefix, bool) {
	if strings.Contains(s, "/") {
		prefix, err := netip.ParsePrefix(s)
		return prefix.Masked(), err == nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

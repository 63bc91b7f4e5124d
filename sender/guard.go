package sender

import (
	"fmt"
	"net/netip"
	"slices"
)

// alwaysDenied is what no webhook has business with: addresses that name no single remote host, and the metadata services
// of clouds, which give credentials to whoever asks from inside.
var alwaysDenied = prefixes(
	"0.0.0.0/8", "::/128", // unspecified: the kernel connects these to this very host
	"169.254.0.0/16", "fe80::/10", // link-local, with the metadata service of most clouds
	"224.0.0.0/4", "ff00::/8", "255.255.255.255/32", // multicast and broadcast
	"fd00:ec2::254/128",  // AWS metadata
	"fd20:ce::254/128",   // Google metadata
	"100.100.100.200/32", // Alibaba metadata
	"168.63.129.16/32",   // Azure wire server
	"192.0.0.192/32",     // Oracle metadata
)

// Guard decides which addresses may be connected to. It is asked with the very address that is about to be dialled,
// after name resolution, so that no DNS answer can change between check and use. A Guard is immutable and safe
// for concurrent use.
type Guard struct {
	allow, deny []netip.Prefix
}

// NewGuard makes a Guard that denies deny besides link-local (with the clouds' metadata services), multicast and
// unspecified addresses, except for what allow lists. Private and loopback addresses are not denied by default:
// a sidecar's receivers often live there.
func NewGuard(allow, deny []netip.Prefix) *Guard {
	return &Guard{allow: normal(allow), deny: append(normal(deny), alwaysDenied...)}
}

// Check returns nil if addr may be connected to, and an [*EgressError] otherwise. An IPv6 address that carries an IPv4
// one (mapped, compatible, 6to4, Teredo, NAT64) has to pass as both. Zones are ignored.
func (g *Guard) Check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	if !addr.IsValid() {
		return &EgressError{Addr: addr}
	}
	if contains(g.allow, addr) {
		return nil
	}
	inner, carries := embedded(addr)
	if contains(g.deny, addr) || carries && !contains(g.allow, inner) && contains(g.deny, inner) {
		return &EgressError{Addr: addr}
	}
	return nil
}

// EgressError says that the guard denies the host's address.
type EgressError struct {
	Addr netip.Addr
}

// Error names the address.
func (e *EgressError) Error() string {
	return fmt.Sprintf("address %s is denied by the egress guard", e.Addr)
}

var (
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056: the IPv4 address follows the prefix
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380: the client's IPv4 address is last, inverted
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052: last
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215: last, where it is used as /96
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291: last
)

// embedded returns the IPv4 address that a transition mechanism would send addr's packets to.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case teredo.Contains(addr):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	case addr == netip.IPv6Loopback(): // inside ::/96, but carries nothing
		return netip.Addr{}, false
	case nat64.Contains(addr), nat64Local.Contains(addr), compatible.Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	default:
		return netip.Addr{}, false
	}
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// normal turns prefixes of IPv4-mapped addresses into IPv4 prefixes, which is what Check compares with.
func normal(list []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(list)+len(alwaysDenied))
	for _, p := range list {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p)
	}
	return out
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

package config

import "net/netip"

// Egress says which addresses webhooks may and may not be sent to, beyond the
// sender's own defaults. Allow wins over Deny.
type Egress struct {
	Allow, Deny []netip.Prefix
}

package config

import "github.com/walpost/walpost/outbox"

// Outbox says which table to follow, and by which slot and publication.
type Outbox struct {
	Table       outbox.Table
	Slot        string // [a-z0-9_]{1,63}; default "walpost"
	Publication string // default "walpost"
	MaxPayload  int64  // bytes; default 16 MiB. A larger payload is quarantined.
}

package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/config"
)

// Options are what New needs. A zero value means the default that is named with the field.
type Options struct {
	// Config is the checked configuration to start with. Required.
	Config *config.Config
	// Load reads the configuration anew when Reload is called. Nil: Reload answers with an error.
	Load func() (*config.Config, hcl.Diagnostics)
	// Fingerprint tells contents of the configuration apart, for PollEvery; several goroutines may ask at once. Use the
	// package's Fingerprint on the path that Load reads. Nil: nothing is polled.
	Fingerprint func() (string, error)
	// PollEvery is how often the configuration is looked at, to Reload when its content has changed. Default: 10 s;
	// negative: never.
	PollEvery time.Duration
	// Version goes into the User-Agent of every webhook: "walpost/<version>". Default: "dev".
	Version string
	// Logger takes the daemon's log. The zero value logs nothing.
	Logger zerolog.Logger
	// ParkAfter is the age at which an event that isn't delivered yet moves from the WAL to the ledger.
	// Default: 12 s, a 10 s timeout and a margin.
	ParkAfter time.Duration
	// DrainTimeout is how long running attempts may go on after Run's context has ended. Default: 12 s.
	DrainTimeout time.Duration
	// MemoryLimit bounds the bytes of the events that are in memory at a time. Default: 32 MiB.
	MemoryLimit int64
	// CheckpointEvery is the shortest time between two checkpoints. Default: 1 s.
	CheckpointEvery time.Duration
	// Name is what this daemon is called among those that share the slot. Default: host:pid.
	Name string
	// Lease is how long the server may hear nothing of a leader until another daemon ends its sessions and leads. One whose
	// process or connection has ended is followed at once. Default: 10 s.
	Lease time.Duration
	// ClaimEvery is how often the ledger is asked for due deliveries when nothing else wakes us. Default: 1 s.
	ClaimEvery time.Duration
}

func (o *Options) defaults() error {
	if o.Config == nil {
		return errors.New("daemon options: Config is required: load one with config.Load")
	}
	o.Version = cmp.Or(o.Version, "dev")
	o.PollEvery = cmp.Or(o.PollEvery, 10*time.Second)
	o.ParkAfter = cmp.Or(o.ParkAfter, 12*time.Second)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 12*time.Second)
	o.MemoryLimit = cmp.Or(o.MemoryLimit, 32<<20)
	o.CheckpointEvery = cmp.Or(o.CheckpointEvery, time.Second)
	o.ClaimEvery = cmp.Or(o.ClaimEvery, time.Second)
	o.Lease = cmp.Or(o.Lease, 10*time.Second)
	if o.Name == "" {
		host, _ := os.Hostname() // a name for people only: empty is fine
		o.Name = fmt.Sprintf("%s:%d", host, os.Getpid())
	}
	return nil
}

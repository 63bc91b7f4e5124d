package daemon

import (
	"maps"
	"slices"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// Status is what the daemon knows beyond the ledger, at one moment.
type Status struct {
	Name        string          `json:"name"`
	Lead        LeadStatus      `json:"lead"`
	Stream      cdc.Stats       `json:"stream"`
	Counters    ledger.Counters `json:"counters"`
	MemoryBytes int64           `json:"memory_bytes"` // of the events that are in memory
	Queues      []QueueStatus   `json:"queues"`       // by webhook name
	Reload      *ReloadStatus   `json:"reload,omitempty"`
}

// LeadStatus is what the daemon is among those that share its slot.
type LeadStatus struct {
	Role   Role      `json:"role"`
	Since  time.Time `json:"since"`
	Epoch  int64     `json:"epoch,omitempty"`  // while it leads; 0 until it has the slot
	Leader string    `json:"leader,omitempty"` // whom it stands by for
}

// QueueStatus is one webhook's queue.
type QueueStatus struct {
	Webhook  string `json:"webhook"`
	Waiting  int    `json:"waiting"`
	Running  int    `json:"running"`
	Disabled bool   `json:"disabled"`
	// Slots is how many attempts may run at a time, now.
	Slots int `json:"slots"`
	// HeldUntil is when the next attempt may start, if that is a matter of time: by `rate_limit`, by what the endpoint asked
	// for, or because it seems dead. Zero: now.
	HeldUntil time.Time `json:"held_until,omitzero"`
	// Breaker is "closed", "open" (since BreakerSince, for BreakerWhy), or "ramping" after that; "" if there is none.
	Breaker      string    `json:"breaker,omitempty"`
	BreakerSince time.Time `json:"breaker_since,omitzero"`
	BreakerWhy   string    `json:"breaker_why,omitempty"`
}

// ReloadStatus is the latest reload. Error is empty if it went into force.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

// Status may be called at any time from any goroutine.
func (d *Daemon) Status() Status {
	s := Status{
		Name: d.options.Name, Lead: d.leadership.status(),
		Counters: d.counters.total(), MemoryBytes: d.budget.used.Load(), Reload: d.lastReload.Load(),
	}
	select {
	case <-d.prepared:
		s.Stream = d.source.Stats()
	default:
	}
	queues := d.plan.Load().queues
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		s.Queues = append(s.Queues, queues[name].status())
	}
	return s
}

func (q *queue) status() QueueStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QueueStatus{
		Webhook: q.name, Waiting: q.waiting.len(), Running: q.running, Disabled: q.gate == gateDisabled, Slots: q.slots(),
	}
	q.pace.describe(&s, time.Now())
	return s
}

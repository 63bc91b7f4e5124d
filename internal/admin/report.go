package admin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// Format is the version of the JSON documents. It rises when a field changes its meaning or goes away, not when one
// is added.
const Format = 1

// Report is what is known of walpost: of one slot, the webhooks, and what waits for a person. `walpost status -o
// json` prints it, and the API gives it with Daemon.
type Report struct {
	Format      int               `json:"format"`
	At          time.Time         `json:"at"` // by the database's clock
	Source      SourceReport      `json:"source"`
	Slot        SlotReport        `json:"slot"`       // of a stream; empty but for the name when the table is polled
	Checkpoint  *CheckpointReport `json:"checkpoint"` // null: never started
	Daemons     []DaemonReport    `json:"daemons"`    // that share the slot, the leader first
	Counters    ledger.Counters   `json:"counters"`   // since the first start, as of the checkpoint
	Webhooks    []WebhookReport   `json:"webhooks"`   // those of the configuration in its order, then others that owe
	Quarantined int64             `json:"quarantined"`
	Incidents   []ledger.Incident `json:"incidents"` // open ones, newest first
	// Recovered are the incidents that ended within the last day, newest first, ten at most.
	Recovered []ledger.Incident `json:"recovered,omitempty"`
	// Attention has one sentence for each thing that somebody should look at. Empty: all is well.
	Attention []string `json:"attention"`
	// Daemon is what only the running daemon knows. Null in `walpost status`, which asks none.
	Daemon any `json:"daemon,omitempty"`
}

// SlotReport is the replication slot as the server sees it. All but Name is empty if there is none.
type SlotReport struct {
	Name          string `json:"name"`
	Exists        bool   `json:"exists"`
	Active        bool   `json:"active"`         // a daemon reads it
	WALStatus     string `json:"wal_status"`     // reserved, extended, unreserved or lost
	RetainedBytes int64  `json:"retained_bytes"` // of WAL that the server keeps for the slot
	LagBytes      int64  `json:"lag_bytes"`      // of WAL after the confirmed position
	ConfirmedLSN  string `json:"confirmed_lsn"`
}

// DaemonReport is one of the daemons that share the slot, as the server sees it. Times are empty where the asking role may
// not see them: it is neither the daemon's nor a member of pg_read_all_stats.
type DaemonReport struct {
	Name    string     `json:"name"`
	Role    DaemonRole `json:"role"`
	Version string     `json:"version"`
	Epoch   int64      `json:"epoch,omitempty"` // the leader's
	// Since is when a leader's epoch began, and when a standby joined.
	Since time.Time `json:"since,omitzero"`
	// SilentSeconds is how long the server has not heard of it: about half a second at most, unless it is in trouble.
	SilentSeconds float64 `json:"silent_seconds"`
}

// DaemonRole is what a daemon does among those that share the slot.
type DaemonRole string

const (
	// Leader reads the slot.
	Leader DaemonRole = "leader"
	// Standby takes over when the leader ends. Both work off what is due in the ledger.
	Standby DaemonRole = "standby"
)

// CheckpointReport is how far the WAL is resolved.
type CheckpointReport struct {
	LSN        string    `json:"lsn"`
	Epoch      int64     `json:"epoch"`
	UpdatedAt  time.Time `json:"updated_at"`
	AgeSeconds float64   `json:"age_seconds"`
}

// WebhookReport is one webhook and the number of its deliveries in the ledger.
type WebhookReport struct {
	Name     string                 `json:"name"`
	State    WebhookState           `json:"state"`
	Disabled *DisabledReport        `json:"disabled,omitempty"` // present if State is Disabled
	Breakers []BreakerReport        `json:"breakers,omitempty"` // present if State is Probing: of each daemon that probes
	Owed     int64                  `json:"owed"`               // pending and retrying
	Due      time.Time              `json:"due,omitzero"`       // of the owed one that is due first
	Failed   int64                  `json:"failed"`
	Parked   int64                  `json:"parked"`
	States   map[ledger.State]int64 `json:"states"` // all recorded ones, by state
	// AtLeast has the states of which there may be more than counted: counting ends at ledger.CountLimit.
	AtLeast []ledger.State `json:"at_least,omitempty"`
}

// DisabledReport says who disabled a webhook, when, and why.
type DisabledReport struct {
	By  string    `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// BreakerReport says since when a webhook's endpoint seems dead to a daemon, and why.
type BreakerReport struct {
	Daemon string    `json:"daemon"`
	Since  time.Time `json:"since"`
	Why    string    `json:"why"` // class of the failure that opened the breaker
}

// WebhookState says whether a webhook's deliveries are attempted.
type WebhookState string

const (
	// Enabled webhooks are delivered to.
	Enabled WebhookState = "enabled"
	// Probing webhooks have an open breaker: one delivery at a time tries whether the endpoint is back, the others wait.
	Probing WebhookState = "probing"
	// Disabled ones were disabled by a 410 or by hand: what comes is parked.
	Disabled WebhookState = "disabled"
	// Off is `enabled = false` in the configuration: nothing comes.
	Off WebhookState = "off"
	// Removed ones have left the configuration, with deliveries still in the ledger.
	Removed WebhookState = "removed"
)

// Webhook is what the configuration says of a webhook.
type Webhook struct {
	Name    string
	Enabled bool
}

// NewReport makes a report for a source of what the ledger knows and the configuration says.
func NewReport(from Source, webhooks []Webhook, s ledger.Status) Report {
	slot := from.Slot
	r := Report{
		Format: Format, At: s.Now.UTC(), Source: from.report(), Slot: SlotReport{Name: slot}, Webhooks: webhookReports(webhooks, s),
		Quarantined: s.Quarantined, Incidents: s.Incidents, Recovered: s.Recovered, Attention: []string{},
	}
	if r.Incidents == nil {
		r.Incidents = []ledger.Incident{}
	}
	if s.Slot != nil {
		r.Slot = SlotReport{
			Name: slot, Exists: true, Active: s.Slot.Active, WALStatus: s.Slot.WALStatus,
			RetainedBytes: s.Slot.RetainedBytes, LagBytes: s.Slot.LagBytes, ConfirmedLSN: lsn(s.Slot.ConfirmedFlush),
		}
	}
	if c := s.Checkpoint; c != nil {
		at := c.LSN
		if r.Source.Mode == Polling {
			at = c.SnapshotLSN // where the WAL was when the newest snapshot was taken of which all is resolved
		}
		r.Counters = c.Counters
		r.Checkpoint = &CheckpointReport{
			LSN: lsn(at), Epoch: c.Epoch, UpdatedAt: c.UpdatedAt.UTC(), AgeSeconds: s.Now.Sub(c.UpdatedAt).Seconds(),
		}
	}
	r.Daemons = daemonReports(s)
	r.attend()
	return r
}

func daemonReports(s ledger.Status) []DaemonReport {
	reports := make([]DaemonReport, 0, len(s.Peers))
	for i := range s.Peers {
		p := &s.Peers[i]
		r := DaemonReport{
			Name: p.Name, Role: Standby, Version: p.Version, Since: p.Since, SilentSeconds: p.Silent().Seconds(),
		}
		if p.Leads {
			r.Role = Leader
			if c := s.Checkpoint; c != nil {
				r.Epoch, r.Since = c.Epoch, c.EpochAt.UTC()
			}
		}
		reports = append(reports, r)
	}
	return reports
}

// lsn is a WAL position as Postgres writes it.
func lsn(at uint64) string { return fmt.Sprintf("%X/%X", at>>32, uint32(at)) }

// webhookReports joins what the configuration and the ledger know of each webhook.
func webhookReports(webhooks []Webhook, s ledger.Status) []WebhookReport {
	counts := make(map[string]ledger.WebhookCount, len(s.Webhooks))
	for _, c := range s.Webhooks {
		counts[c.Webhook] = c
	}
	disabled := make(map[string]ledger.WebhookState, len(s.Disabled))
	for _, d := range s.Disabled {
		disabled[d.Name] = d
	}
	reports := make([]WebhookReport, 0, len(webhooks))
	for _, w := range webhooks {
		r := newWebhookReport(w.Name, counts[w.Name])
		if d, ok := disabled[w.Name]; ok {
			r.State = Disabled
			r.Disabled = &DisabledReport{By: d.Reason.By, At: d.DisabledAt.UTC(), Why: d.Reason.Why}
		} else if r.Breakers = breakerReports(w.Name, s.Breakers); r.Breakers != nil {
			r.State = Probing
		}
		if !w.Enabled {
			r.State = Off
		}
		reports = append(reports, r)
		delete(counts, w.Name)
	}
	for _, c := range s.Webhooks {
		if _, left := counts[c.Webhook]; !left {
			continue
		}
		if r := newWebhookReport(c.Webhook, c); r.Owed+r.Failed+r.Parked > 0 {
			r.State = Removed
			reports = append(reports, r)
		}
	}
	return reports
}

func breakerReports(webhook string, open []ledger.OpenBreaker) (reports []BreakerReport) {
	for _, b := range open {
		if b.Webhook == webhook {
			reports = append(reports, BreakerReport{Daemon: b.Daemon, Since: b.Since, Why: b.Why})
		}
	}
	return reports
}

func newWebhookReport(name string, c ledger.WebhookCount) WebhookReport {
	r := WebhookReport{Name: name, State: Enabled, States: c.States, Due: c.OldestDue}
	if r.States == nil {
		r.States = map[ledger.State]int64{}
	}
	for state, n := range c.States {
		if state.Owed() {
			r.Owed += n
		}
	}
	r.Failed, r.Parked = c.States[ledger.Failed], c.States[ledger.Parked]
	r.AtLeast = slices.Sorted(maps.Keys(c.Uncounted))
	return r
}

// Count writes a number of the webhook's deliveries in the given states, with a + if there may be more.
func (w *WebhookReport) Count(states ...ledger.State) string {
	n, more := int64(0), ""
	for _, s := range states {
		n += w.States[s]
		if slices.Contains(w.AtLeast, s) {
			more = "+"
		}
	}
	return strconv.FormatInt(n, 10) + more
}

// attend says what somebody should look at.
func (r *Report) attend() {
	say := func(format string, args ...any) { r.Attention = append(r.Attention, fmt.Sprintf(format, args...)) }
	switch {
	case r.Source.Mode == Polling:
		r.attendPolling(say)
	case !r.Slot.Exists:
		say("the replication slot %q does not exist", r.Slot.Name)
	case r.Slot.WALStatus == "lost" || r.Slot.WALStatus == "unreserved":
		say("the server drops WAL that the replication slot %q needs: wal_status is %s", r.Slot.Name, r.Slot.WALStatus)
	case !r.Slot.Active:
		say("no daemon reads the replication slot %q, for which the server keeps WAL", r.Slot.Name)
	}
	for _, w := range r.Webhooks {
		switch {
		case w.State == Disabled:
			say("webhook %q is disabled", w.Name)
		case w.State == Probing:
			say("the endpoint of webhook %q seems dead since %s (%s): it is probed, and nothing else is sent until it answers",
				w.Name, w.Breakers[0].Since.Format(time.DateTime), w.Breakers[0].Why)
		case w.State == Removed:
			say("webhook %q has left the configuration with %s deliveries in the ledger", w.Name,
				w.Count(ledger.Pending, ledger.Retrying, ledger.Failed, ledger.Parked))
		case w.Parked > 0:
			say("webhook %q is enabled and has %s parked", w.Name, w.Count(ledger.Parked))
		}
		if w.Failed > 0 && w.State != Removed {
			say("webhook %q has %s failed", w.Name, w.Count(ledger.Failed))
		}
	}
	if r.Quarantined > 0 {
		say("%d quarantined", r.Quarantined)
	}
	for _, i := range r.Incidents {
		say("incident %s: %s", i.Kind, i.Detail)
	}
}

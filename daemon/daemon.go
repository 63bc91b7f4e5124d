// Package daemon is walpost's runtime: it joins the stream of committed outbox rows, the rules, the senders and the
// ledger, and keeps their order. It is embeddable: New, then Run.
//
//	cdc.Source ─▶ router ─▶ queue per webhook ─▶ sender ─▶ (nothing | ledger)
//	                 └─ full, late, disabled ─▶ ledger ─▶ claimer ─▶ queue
//	tracker (in cdc) ─▶ checkpointer ─▶ ledger, then cdc.Source.Confirm
package daemon

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// Daemon is one walpost runtime. Make it with New, call Run once.
type Daemon struct {
	*pipeline
	options      Options
	title        ledger.Title
	source       source
	checkpointer *checkpointer
	leadership   *leadership
	prepared     chan struct{} // closed once the ledger is there
	ready        chan struct{}
	readyOnce    sync.Once
	reloading    sync.Mutex
	seen         string // content of the configuration that was read last; reloading guards it
	lastReload   atomic.Pointer[ReloadStatus]
	retired      sync.WaitGroup // queues of webhooks that a reload removed, until their attempts have ended
	// intake ends at the first signal, sending (in pipeline) at the second.
	intake                          context.Context
	stopIntake, stopSends, stopWork context.CancelFunc
	fatal                           chan error // capacity 1: what ends the daemon
}

// New checks the options and compiles the configuration. It connects to nothing.
func New(o Options) (*Daemon, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	d := &Daemon{
		options:  o,
		ready:    make(chan struct{}),
		prepared: make(chan struct{}),
		fatal:    make(chan error, 1),
	}
	d.pipeline = &pipeline{log: o.Logger, budget: newBudget(o.MemoryLimit), fail: d.fail, wake: make(chan struct{}, 1)}
	d.intake, d.stopIntake = context.WithCancel(context.Background())
	d.sending, d.stopSends = context.WithCancel(context.Background())
	d.working, d.stopWork = context.WithCancel(context.Background())
	d.leadership = newLeadership(d.pipeline, o.Lease, d.join)
	d.overtaken, d.goesOn = d.leadership.giveUp, d.leadership.goesOn
	d.leadership.rejoined = d.reconnect
	d.title = ledger.Title{Name: o.Name, Version: o.Version, Tag: tag()}
	first, err := d.newDraft(o.Config, o.Version, nil)
	if err != nil {
		return nil, err
	}
	d.adopt(first)
	d.seen = d.content()
	return d, nil
}

// Config is the configuration that is in force. It must not be changed.
func (d *Daemon) Config() *config.Config { return d.plan.Load().config }

// Ready is closed when the daemon streams from its slot for the first time.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Abort gives up the attempts that still run: the second signal. They are recorded as interrupted.
func (d *Daemon) Abort() { d.stopSends() }

// fail ends the daemon with an error; only the first one counts.
func (d *Daemon) fail(err error) {
	select {
	case d.fatal <- err:
	default:
	}
	d.stopIntake()
}

// Run works until ctx ends, the first signal, and then drains: it takes no more events, records what waits, and
// lets running attempts end for up to DrainTimeout or until Abort. It returns nil after a clean end, else what ended
// it: a *cdc.SetupError says what to change.
func (d *Daemon) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, d.stopIntake)()
	cfg := d.plan.Load().config
	book, err := ledger.Open(ctx, ledger.Options{
		ConnString: cfg.Database.URL.Reveal(), Record: ledger.Record(cfg.Ledger.Record), Logger: d.log,
		Slot: cfg.Outbox.Slot, Application: d.title.String(), Replica: d.options.Name,
	})
	if err != nil {
		return err
	}
	defer book.Close()
	d.ledger = book
	if err := d.prepare(ctx, cfg); err != nil {
		return err
	}
	return d.operate()
}

// prepare waits for the ledger, and joins the stream to it.
func (d *Daemon) prepare(ctx context.Context, cfg *config.Config) error {
	if err := d.awaitLedger(ctx); err != nil {
		return err
	}
	d.checkpointer = &checkpointer{
		pipeline: d.pipeline, slot: cfg.Outbox.Slot, messages: cfg.Outbox.Messages, every: d.options.CheckpointEvery, parkAfter: d.options.ParkAfter,
		outbox: ledger.Outbox{Publication: cfg.Outbox.Publication, Schema: cfg.Outbox.Table.Schema, Table: cfg.Outbox.Table.Name},
		state:  trouble{log: d.log, what: "save the checkpoint"},
	}
	source, err := d.newSource(cfg)
	if err != nil {
		return err
	}
	d.source, d.checkpointer.source = source, source
	close(d.prepared)
	return nil
}

// newSource makes what the rows come from. It runs later.
func (d *Daemon) newSource(cfg *config.Config) (source, error) {
	hook := func(o *cdc.Options) {
		o.Lead, o.Application = d.leadership.lead, d.title.String()
		o.Resume, o.Lost, o.Flush = d.checkpointer.resume, d.checkpointer.lost, d.checkpointer.flush
		o.Acquired = func(ctx context.Context, id cdc.Identity) error {
			if err := d.checkpointer.acquired(ctx, id); err != nil {
				return err
			}
			d.forgetHeld() // another daemon may have led
			if err := d.readHeld(ctx, d.plan.Load()); err != nil {
				return err
			}
			if !id.Reading {
				d.readyOnce.Do(func() { close(d.ready) })
			}
			return nil
		}
	}
	if cfg.Outbox.Polled() {
		options := PollOptions(cfg, d.log)
		hook(&options.Options)
		return cdc.NewPoller(options)
	}
	options := SourceOptions(cfg, d.log)
	hook(&options)
	return cdc.New(options)
}

// SourceOptions are the stream's options as the configuration gives them, for the daemon and for `walpost init`.
func SourceOptions(cfg *config.Config, log zerolog.Logger) cdc.Options {
	t := cfg.Outbox.Table
	return cdc.Options{
		ConnString: cfg.Database.ReplicationURL.Reveal(),
		Schema:     t.Schema, Table: t.Name, Columns: t.Columns.Names(),
		Slot: cfg.Outbox.Slot, Publication: cfg.Outbox.Publication,
		Start: cdc.Start(cfg.Outbox.Start), Messages: cfg.Outbox.Messages,
		Logger: log,
	}
}

// join makes this daemon a member of those that share the slot.
func (d *Daemon) join(ctx context.Context) (*ledger.Member, error) {
	cfg := d.plan.Load().config
	return ledger.Join(ctx, ledger.Membership{
		ConnString: cfg.Database.ReplicationURL.Reveal(), Slot: cfg.Outbox.Slot, Title: d.title, Lease: d.options.Lease,
	})
}

// reconnect replaces connections of which we can't tell whether the server still has them: one was lost, and a firewall or a
// router that forgets one without a word forgets all.
func (d *Daemon) reconnect() {
	d.ledger.Renew()
	d.source.Recheck()
}

// tag is unlike that of any other daemon, or of an earlier one with the same name.
func tag() string { return strconv.FormatUint(uint64(rand.Uint32()), 36) }

// PollOptions are those of polling as the configuration gives them, for the daemon and for `walpost init`.
func PollOptions(cfg *config.Config, log zerolog.Logger) cdc.PollOptions {
	return cdc.PollOptions{
		Options: SourceOptions(cfg, log),
		ID:      cfg.Outbox.Table.Columns.Names()[0], XID: outbox.XIDColumn,
		Interval: cfg.Outbox.PollInterval, Channel: outbox.Channel,
	}
}

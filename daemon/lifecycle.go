package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/failpoint"
)

// flushTimeout is how long the ledger may take for what is left to write at the end.
const flushTimeout = 5 * time.Second

// stage is a group of parts that are stopped together and waited for.
type stage struct {
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newStage() *stage {
	s := &stage{}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// run starts a part. If it ends with an error, the daemon ends with that error.
func (s *stage) run(fail func(error), part func(context.Context) error) {
	s.wg.Go(func() {
		if err := part(s.ctx); err != nil {
			fail(err)
		}
	})
}

func (s *stage) end() {
	s.stop()
	s.wg.Wait()
}

// operate starts the stages in the order of the data's way, and ends them in the order in which their work runs
// out: what brings work, what does it, what records it, what confirms it.
func (d *Daemon) operate() error {
	leading, writing, streaming, checkpointing := newStage(), newStage(), newStage(), newStage()
	intake := &stage{ctx: d.intake, stop: d.stopIntake}

	leading.run(d.fail, d.leadership.run)
	writing.run(d.fail, d.ledger.Run)
	streaming.run(d.fail, d.stream)
	checkpointing.run(d.fail, d.checkpointer.run)
	if !d.Config().Outbox.Polled() { // polling takes a snapshot each time that it looks
		checkpointing.run(d.fail, d.checkpointer.watch)
	}

	router := newRouter(d.pipeline, d.checkpointer.recordedUntil)
	intake.run(d.fail, func(ctx context.Context) error { return router.run(ctx, d.source.Batches()) })
	claimer := newClaimer(d.pipeline, d.options.ClaimEvery, d.title.Tag)
	intake.run(d.fail, claimer.run)
	intake.run(d.fail, func(ctx context.Context) error { return d.ledger.Listen(ctx, func() { signal(d.wake) }) })
	intake.run(d.fail, func(ctx context.Context) error { return d.watch(ctx, d.options.ParkAfter) })
	intake.run(d.fail, d.prune)
	intake.run(d.fail, newPruner(d.pipeline, d.Config(), d.streams).run)
	intake.run(d.fail, d.poll)

	<-d.intake.Done()
	failpoint.Hit(failpoint.DrainBegun)
	defer d.stopWork()
	defer time.AfterFunc(d.options.DrainTimeout, d.stopSends).Stop()
	// Once attempts are given up, what they leave must reach the ledger soon, or stay unresolved in the WAL.
	defer context.AfterFunc(d.sending, func() { time.AfterFunc(flushTimeout, d.stopWork) })()

	intake.end()
	failpoint.Hit(failpoint.DrainIntakeEnded)
	d.awaitReload()
	d.shut()
	checkpointing.end()
	letGo := func() {
		streaming.end()
		leading.end()
	}
	handedOver := d.handOver(router.taken)
	if handedOver {
		letGo()
	}
	d.awaitAttempts()
	failpoint.Hit(failpoint.DrainQueuesEmpty)
	writing.end()
	failpoint.Hit(failpoint.DrainFlushed)
	if !handedOver {
		d.confirm(router.taken)
		letGo()
	}
	select {
	case err := <-d.fatal:
		return err
	default:
		return nil
	}
}

// awaitReload waits for a reload that has begun. Later ones see that we end, so the plan stays what it is.
func (d *Daemon) awaitReload() {
	d.reloading.Lock()
	defer d.reloading.Unlock()
}

// shut records what waits as owed.
func (d *Daemon) shut() {
	for _, q := range d.plan.Load().queues {
		d.shutQueue(q, gateStopped)
	}
}

// awaitAttempts waits for the attempts that run.
func (d *Daemon) awaitAttempts() {
	for _, q := range d.plan.Load().queues {
		q.workers.Wait()
		q.aimed().endpoint.Close()
	}
	d.retired.Wait()
}

// confirm makes the last checkpoint, so that the next start repeats nothing of what was taken.
func (d *Daemon) confirm(taken cdc.Transaction) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := d.checkpoint(ctx, taken); err != nil {
		d.log.Error().Err(err).Msg("last checkpoint not saved: the next start may repeat deliveries, with the same ids")
	}
}

func (d *Daemon) checkpoint(ctx context.Context, taken cdc.Transaction) error {
	d.checkpointer.awaitCommit(ctx, taken)
	err := d.checkpointer.drained(ctx)
	failpoint.Hit(failpoint.DrainCheckpointed)
	return err
}

// prune keeps the ledger within its retention, while we lead.
func (d *Daemon) prune(ctx context.Context) error {
	trouble := trouble{log: d.log, what: "prune the ledger"}
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for d.leadership.leads(ctx) {
		err := d.pruneLedger(ctx)
		if ctx.Err() != nil {
			return nil
		}
		trouble.note(err)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	return nil
}

const pruneEvery = time.Hour

func (d *Daemon) pruneLedger(ctx context.Context) error {
	keep := d.plan.Load().config.Ledger
	cancelled, held := d.ledger.CancelHeld(ctx, keep.Hold)
	if cancelled > 0 {
		d.counters.cancelled.Add(uint64(cancelled))
		d.log.Warn().Int64(keyCount, cancelled).Dur("hold", keep.Hold).Msg("deliveries cancelled: their webhooks were disabled for too long")
	}
	_, err := d.ledger.Prune(ctx, keep.Retention)
	return errors.Join(held, err)
}

// streams reports whether the outbox is ours to prune: its stream is.
func (d *Daemon) streams() bool { return d.source.Stats().Connected }

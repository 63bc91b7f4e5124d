package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// maxWatermarks bounds the ring: a minute of samples. A position that lags further behind finds fewer of them, further
// apart.
const maxWatermarks = 64

// watermarks are recent samples of what is committed, oldest first. A checkpoint carries the newest one below its
// position, so that what a lost slot takes with it can be told from what was dealt with.
type watermarks struct {
	mu   sync.Mutex
	ring []ledger.Watermark
	used ledger.Watermark // in the latest checkpoint
}

func (w *watermarks) add(mark ledger.Watermark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.ring); n > 0 && mark.LSN <= w.ring[n-1].LSN {
		return
	}
	if len(w.ring) == maxWatermarks {
		kept := w.ring[:0]
		for i := 0; i < len(w.ring); i += 2 {
			kept = append(kept, w.ring[i])
		}
		w.ring = kept
	}
	w.ring = append(w.ring, mark)
}

// newest gives the newest sample at or below a position; its zero value if there is none.
func (w *watermarks) newest(position cdc.LSN) ledger.Watermark {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, mark := range slices.Backward(w.ring) {
		if mark.LSN <= uint64(position) {
			return mark
		}
	}
	return ledger.Watermark{}
}

// use takes note of what a checkpoint carries; older samples are of no use any more.
func (w *watermarks) use(mark ledger.Watermark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if mark.Snapshot == "" {
		return
	}
	w.used = mark
	w.ring = slices.DeleteFunc(w.ring, func(m ledger.Watermark) bool { return m.LSN < mark.LSN })
}

// late reports whether mark covers a commit that was saved under an older sample: a burst's last one, which is worth
// one checkpoint more.
func (w *watermarks) late(mark ledger.Watermark, saved cdc.LSN) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return mark.LSN >= uint64(saved) && uint64(saved) > w.used.LSN
}

func (w *watermarks) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring, w.used = nil, ledger.Watermark{}
}

// errChanged is retryable: the next connection looks at the publication anew.
var errChanged = errors.New("the publication was changed as the slot was taken")

// sample takes a watermark, before there is a slot or when it is ours. What it sees was streamed by a publication of the
// coverage, or was there before the stream.
func (c *checkpointer) sample(ctx context.Context, coverage string) error {
	mark, err := c.ledger.Watermark(ctx, c.outbox)
	if err != nil {
		return err
	}
	if coverage != "" && mark.Coverage != coverage {
		return errChanged
	}
	c.watermarks.add(mark)
	return nil
}

// watch samples while rows arrive, and once after the last one: a tick later, as a commit is in the WAL, and streamed, before
// others see it.
func (c *checkpointer) watch(ctx context.Context) error {
	trouble := trouble{log: c.log, what: "take a watermark"}
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	var before, sampled uint64 // rows, at the tick before, and as the latest sample surely sees them
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		visible := before
		before = c.source.Stats().Rows
		owner := c.owned()
		if visible == sampled || owner == nil {
			continue
		}
		mark, err := c.ledger.Watermark(ctx, c.outbox)
		if ctx.Err() != nil {
			return nil
		}
		trouble.note(err)
		if err == nil && c.owned() == owner {
			if mark.Coverage == owner.identity.Coverage { // else the stream may not have had all that it sees
				c.watermarks.add(mark)
			}
			sampled = visible
		}
	}
}

package daemon

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

const dropLedger = "drop schema walpost cascade"

// Somebody drops the ledger under a running daemon: it ends and says so, and the next makes another and goes on from the slot.
func TestLedgerIsDroppedUnderARunningDaemon(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.startMarked()
	r.db.Exec(t, dropLedger)
	r.insert(tagged("2"))
	select {
	case err := <-d.ended:
		d.once.Do(d.cancel)
		if !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("the daemon ended with: %v", err)
		}
	case <-time.After(testPatience):
		t.Fatal("the daemon goes on without a ledger")
	}
	if n := r.count("pg_namespace where nspname = 'walpost'"); n != 0 {
		t.Error("the ledger was made anew by the one that ended")
	}
	next := r.start()
	r.insert(tagged("3"))
	book := &arrivals{t: t, ids: map[arrival]string{}}
	for book.ids[arrival{"/hook", "2"}] == "" || book.ids[arrival{"/hook", "3"}] == "" {
		book.take(r.receiver.next())
	}
	next.mustStop()
}

// Where the ledger is gone while no daemon runs, the slot alone says what is left; without, it is a first start.
func TestLedgerIsDroppedWhileNobodyRuns(t *testing.T) {
	t.Parallel()
	const backlog = `start = "backlog"`
	for name, c := range map[string]struct {
		polled bool
		start  string
		slot   bool // it is still there
		want   []string
	}{
		"with the slot":   {slot: true, want: []string{"2", "3"}},
		"now":             {want: []string{"3"}},
		"backlog":         {start: backlog, want: []string{"1", "2", "3"}},
		"polled, now":     {polled: true, want: []string{"3"}},
		"polled, backlog": {polled: true, start: backlog, want: []string{"1", "2", "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, one)
			attributes := ""
			if c.polled {
				r.poll()
				attributes = "mode = \"polling\"\n"
			}
			r.mode(attributes)
			d := r.start()
			r.insert(tagged("1"))
			r.receiver.next()
			d.mustStop()
			r.insert(tagged("2"))
			r.db.Exec(t, dropLedger)
			if !c.slot {
				r.dropSlot()
			}
			r.mode(attributes + c.start)
			d = r.start()
			r.insert(tagged("3"))
			for range c.want {
				contact, _ := r.receiver.next().json(t)["contact"].(map[string]any)
				if !slices.Contains(c.want, fmt.Sprint(contact["id"])) {
					t.Errorf("%v arrives, want %v", contact["id"], c.want)
				}
			}
			d.mustStop()
			r.receiver.none()
		})
	}
}

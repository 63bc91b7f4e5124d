package daemon

import (
	"fmt"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgembed"
)

// A backup is restored of a time before the last rows, when others were pruned already, and more have been since: what was
// resolved by then isn't delivered again, whether its row is there or not, and what comes is. A standby that has stopped to
// follow is such a backup.
func TestRestoredBackupOfAPrunedOutbox(t *testing.T) {
	t.Parallel()
	for _, polled := range []bool{false, true} {
		t.Run(fmt.Sprintf("polled %t", polled), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, false)
			if polled {
				p.poll()
			}
			often := keeping(time.Second)
			d := p.start(often)
			p.insert(tagged("pruned before"))
			p.receiver.want("pruned before")
			p.pruned()
			p.insert(tagged("resolved before"))
			p.marked()
			p.isolateStandby()
			p.insert(tagged("lost with the primary"))
			p.pruned()
			d.mustStop()
			arrived := p.drain()
			for _, id := range []string{"resolved before", "lost with the primary"} {
				if arrived[id] == 0 {
					t.Errorf("%s didn't arrive before the backup was restored", id)
				}
			}

			p.primary.Halt(t.Context(), pgembed.Immediate)
			if err := p.standby.Promote(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.insertSoon(tagged("committed before the start"))
			d = p.start(often)
			p.insert(tagged("new"))
			for again := map[string]int{}; again["new"] == 0 || again["committed before the start"] == 0; {
				contact, _ := p.receiver.next().json(t)["contact"].(map[string]any)
				id := fmt.Sprint(contact["id"])
				if again[id]++; again[id] > 1 && id != "another" || id == "pruned before" || id == "resolved before" {
					t.Errorf("%s arrives again", id)
				}
			}
			p.until("select not exists (select from walpost.incident where resolved_at is null)")
			p.pruned() // it goes on here
			d.mustStop()
			again := p.drain()
			delete(again, "another") // those that pruning took
			if len(again) > 0 {
				t.Errorf("arrived again: %v", again)
			}
		})
	}
}

// drain takes what has arrived by now, and counts it by contact.
func (r *rig) drain() map[string]int {
	r.t.Helper()
	arrived := map[string]int{}
	for {
		select {
		case got := <-r.receiver.got:
			contact, _ := got.json(r.t)["contact"].(map[string]any)
			arrived[fmt.Sprint(contact["id"])]++
		default:
			return arrived
		}
	}
}

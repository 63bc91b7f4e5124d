package daemon

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

func TestFloodOfFreshEventsDoesNotKeepRetriesFromTheirDueTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics      = ["*"]
  url         = "{url}/hook"
  concurrency = 2
  queue       = 50
  retry       = ["1s"]
}
`)
	r.receiver.answers(status(http.StatusInternalServerError))
	r.start()
	r.insert(tagged("failed"))
	id := r.receiver.next().id
	r.until("select exists (select from walpost.delivery where state = 'retrying')")
	release := make(chan struct{})
	r.receiver.answers(func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-release: // the flood is over
		case <-time.After(5 * time.Millisecond):
		}
	})
	const flood = 3000
	events := make([]outbox.Event, flood)
	for i := range events {
		events[i] = tagged(strconv.Itoa(i))
	}
	r.insert(events...)
	before := 0
	for r.receiver.next().id != id {
		before++
	}
	close(release)
	if before >= flood {
		t.Error("the retry waited until the flood was over")
	}
	t.Logf("%d of %d went before the retry", before, flood)
}

// Beside each other, fresh deliveries go first, and an owed one is never passed by more than seven.
func TestFreshAndOwedShareWhatGoes(t *testing.T) {
	t.Parallel()
	var l line
	add := func(ring *ring, n int) {
		for range n {
			ring.push(fresh(0))
		}
	}
	takes := func(n int) (owed int) {
		for range n {
			before := l.owed.len()
			if l.pop() == nil {
				t.Fatal("nothing waits")
			}
			owed += before - l.owed.len()
		}
		return owed
	}
	add(&l.owed, 100)
	add(&l.fresh, 5)
	if n := takes(5); n != 0 {
		t.Errorf("%d owed ones went before five fresh ones", n)
	}
	if n := takes(50); n != 50 {
		t.Errorf("%d owed ones of 50 went, without a fresh one", n)
	}
	add(&l.fresh, 1000)
	if n := takes(owedShare * 20); n != 20 {
		t.Errorf("%d owed ones of %d went beside a flood", n, owedShare*20)
	}
}

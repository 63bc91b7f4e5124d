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

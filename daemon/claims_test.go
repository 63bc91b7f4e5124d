package daemon

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

// TestDueRetriesOfLargePayloadsKeepToTheBound: many retries that come due at once, of payloads of which only some have room in
// memory, to endpoints that don't answer, bring no more of them into memory than that; and all go in the end, those of a
// webhook that answers before the others let go.
func TestDueRetriesOfLargePayloadsKeepToTheBound(t *testing.T) {
	t.Parallel()
	t.Run("a payload for each webhook", func(t *testing.T) {
		t.Parallel()
		largePayloadsKeepToTheBound(t, 3, 40, 0)
	})
	t.Run("more slow endpoints than payloads", func(t *testing.T) {
		t.Parallel()
		largePayloadsKeepToTheBound(t, 8, 8, slowAfter+slowAfter/8)
	})
}

// largePayloadsKeepToTheBound plays it with that many dead endpoints, whose answers to the first attempts took a while.
func largePayloadsKeepToTheBound(t *testing.T, dead, events int, took time.Duration) {
	const payload, limit = 64 << 10, 1 << 20
	var hcl strings.Builder
	for i := range dead + 1 {
		name := "good"
		if i < dead {
			name = "dead_" + strconv.Itoa(i)
		}
		hcl.WriteString("webhook \"" + name + "\" {\n topics = [\"*\"]\n url = \"{url}/" + name + "\"\n timeout = \"60s\"\n retry = [\"1h\", \"1h\"]\n}\n")
	}
	r := newRig(t, hcl.String())
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/good" {
			time.Sleep(took)
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	d := r.start(func(o *Options) { o.MemoryLimit = limit })
	for i := range events {
		e := tagged(strconv.Itoa(i))
		e.Payload = map[string]any{"contact": map[string]any{"id": i}, "text": strings.Repeat("x", payload)}
		r.insert([]outbox.Event{e}...)
	}
	r.until("select count(*) = $1 from walpost.delivery where state = 'retrying' and attempts = 1", (dead+1)*events)
	for len(r.receiver.got) > 0 {
		r.receiver.next()
	}
	release := make(chan struct{})
	var held, most atomic.Int64
	hold := r.receiver.holding(release, nil)
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		n := held.Add(1)
		defer held.Add(-1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		if req.URL.Path != "/good" {
			hold(w, req)
		}
	})
	r.due()
	for good := 0; good < events; {
		if r.receiver.next().path == "/good" {
			good++
		}
	}
	if used, most := d.budget.claimed.Load(), d.budget.claimMost(); used > most+payload+1024 {
		t.Errorf("%d bytes of claimed payloads in memory, %d are allowed, and one payload", used, most)
	}
	close(release)
	r.until("select count(*) = $1 from walpost.delivery where state = 'delivered'", (dead+1)*events)
	d.waitFor(func(s Status) bool { return s.Queues[0].Running == 0 })
	if n, allowed := most.Load(), int64(limit/2/payload+1); n > allowed {
		t.Errorf("%d payloads were on their way at a time, %d are allowed", n, allowed)
	}
	d.mustStop()
	if used := d.budget.claimed.Load(); used != 0 {
		t.Errorf("%d bytes are still counted when nothing is in memory", used)
	}
}

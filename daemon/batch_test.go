package daemon

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// batched is a webhook that takes events by the batch; more are its other arguments.
func batched(limit int, wait, more string) string {
	return fmt.Sprintf(`
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
  body   = { ids = [for e in events : e.aggregate_id] }
  batch {
    max    = %d
    wait   = %q
    failed = response.json.failed
  }
%s
}
`, limit, wait, more)
}

// ids are the aggregates' ids in the body of a batch.
func (r request) ids(t testing.TB) string {
	t.Helper()
	return fmt.Sprint(r.json(t)["ids"])
}

// numbered are events with the aggregate ids from..to and event ids that begin with them.
func numbered(from, to int) (events []outbox.Event) {
	for i := from; i <= to; i++ {
		e := tagged(strconv.Itoa(i))
		e.ID = eventID(i)
		events = append(events, e)
	}
	return events
}

// insertEach commits numbered events one after the other, so that they have an order in the ledger too.
func (r *rig) insertEach(from, to int) {
	r.t.Helper()
	for _, e := range numbered(from, to) {
		r.insert(e)
	}
}

func eventID(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }

func deliveryOf(event int) string { return route.DeliveryID(eventID(event), "contact.tagged", "hook") }

// batchID is the webhook-id of a request with these events.
func batchID(numbers ...int) string {
	ids := make([]string, len(numbers))
	for i, n := range numbers {
		ids[i] = deliveryOf(n)
	}
	return route.BatchID(ids)
}

func TestBatchGoesWhenItIsFullOrHasWaited(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(3, "10s", ""))
	d := r.start()
	started := time.Now()
	r.insert(numbered(1, 6)...)
	first, second := r.receiver.next(), r.receiver.next()
	if first.ids(t) > second.ids(t) {
		first, second = second, first
	}
	if first.ids(t) != "[1 2 3]" || second.ids(t) != "[4 5 6]" || time.Since(started) > 9*time.Second {
		t.Errorf("batches %s and %s after %s", first.ids(t), second.ids(t), time.Since(started))
	}
	if first.id != batchID(1, 2, 3) || first.topic != "contact.tagged" || first.attempt != "1" || first.method != http.MethodPost {
		t.Errorf("first is %s %s attempt %s", first.id, first.topic, first.attempt)
	}
	if err := r.reloadWith(t.Context(), d, batched(3, "200ms", "")); err != nil {
		t.Fatal(err)
	}
	r.insert(numbered(7, 8)...)
	if got := r.receiver.next(); got.ids(t) != "[7 8]" {
		t.Errorf("what has waited is %s", got.ids(t))
	}
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.event") + r.count("walpost.delivery") + r.count("walpost.attempt"); n != 0 {
		t.Errorf("%d ledger rows for events that were delivered at the first attempt", n)
	}
	r.start().mustStop()
	r.receiver.none()
}

// due makes all that is to be retried due now; what a claim leases is due earlier than that.
func (r *rig) due() {
	r.t.Helper()
	r.db.Exec(r.t, `update walpost.delivery set due_at = walpost.now()
		where state = 'retrying' and due_at > walpost.now() + interval '1 minute'; notify walpost`)
}

func TestBatchMembersThatFailAreRetriedByThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(3, "300ms", ""))
	failing := map[string]bool{"2": true, "3": true}
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusMultiStatus)
		var failed []string
		for i := range 10 {
			if failing[strconv.Itoa(i)] {
				failed = append(failed, fmt.Sprintf("%q", eventID(i)))
			}
		}
		if _, err := io.WriteString(w, `{"failed": [`+strings.Join(failed, ", ")+`]}`); err != nil {
			t.Error(err)
		}
	})
	d := r.start()
	r.insertEach(1, 3)
	if got := r.receiver.next(); got.ids(t) != "[1 2 3]" {
		t.Fatalf("first batch is %s", got.ids(t))
	}
	r.until(`select count(*) = 2 from walpost.delivery where state = 'retrying' and attempts = 1 and last_class = 'partial'
		and last_status = 207 and due_at between walpost.now() + interval '4 minutes' and walpost.now() + interval '5 minutes'`)
	if n := r.count("walpost.event where aggregate_id = '1'"); n != 0 {
		t.Error("the event that was accepted is recorded")
	}
	r.receiver.answers(nil) // 200 without a body: nothing failed
	r.due()
	got := r.receiver.next()
	if got.ids(t) != "[2 3]" || got.attempt != "2" || got.id != batchID(2, 3) {
		t.Errorf("retried are %s in %s, attempt %s", got.ids(t), got.id, got.attempt)
	}
	r.until("select count(*) = 2 from walpost.delivery where state = 'delivered' and attempts = 2")
	d.mustStop()
	r.receiver.none()
}

func TestBatchThatFailsIsRetriedWithOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(4, "300ms", `  retry = ["1h"]`))
	r.receiver.answers(status(http.StatusBadGateway))
	d := r.start()
	r.insertEach(1, 2)
	r.receiver.next()
	r.until("select count(*) = 2 from walpost.delivery where state = 'retrying' and attempts = 1 and last_status = 502")
	if err := r.reloadWith(t.Context(), d, batched(4, "3s", `  retry = ["1h"]`)); err != nil {
		t.Fatal(err)
	}
	r.due()
	d.turnAround()
	r.insertEach(3, 4) // the four fill a batch
	got := r.receiver.next()
	if got.ids(t) != "[1 2 3 4]" || got.attempt != "2" {
		t.Errorf("batch %s attempt %s", got.ids(t), got.attempt)
	}
	r.until("select count(*) = 2 from walpost.delivery where state = 'failed' and attempts = 2")
	r.until("select count(*) = 2 from walpost.delivery where state = 'retrying' and attempts = 1")
	d.mustStop()
	r.receiver.none()
}

func TestBatchWithoutTheEventThatCannotBeRendered(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.Replace(batched(4, "10s", ""), "e.aggregate_id", "upper(e.data.name)", 1))
	d := r.start()
	var events []outbox.Event
	for _, name := range []any{"ada", []int{1}, "bob", "cy"} {
		events = append(events, outbox.Event{
			AggregateType: "contact", AggregateID: "1", Type: "contact.tagged", Payload: map[string]any{"name": name},
		})
	}
	r.insert(events...)
	if got := r.receiver.next(); got.ids(t) != "[ADA BOB CY]" {
		t.Errorf("the rest is %s", got.ids(t))
	}
	r.until("select count(*) = 1 from walpost.quarantine where webhook = 'hook' and topic = 'contact.tagged'")
	d.mustStop()
	r.receiver.none()
}

func TestBatchWhoseMembersDisagreeIsSplit(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.Replace(batched(4, "10s", ""), `"{url}/hook"`, `"{url}/${one(distinct([for e in events : e.aggregate_id]))}"`, 1))
	d := r.start()
	r.insert(tagged("a"), tagged("a"), tagged("b"), tagged("b"))
	for _, path := range []string{"/a", "/b"} {
		if got := r.receiver.next(); got.path != path || got.ids(t) != fmt.Sprintf("[%[1]s %[1]s]", path[1:]) {
			t.Errorf("%s to %s", got.ids(t), got.path)
		}
	}
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.quarantine"); n != 0 {
		t.Errorf("%d quarantined", n)
	}
}

func TestGoneParksTheWholeBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(3, "200ms", "  concurrency = 1"))
	answered := make(chan struct{})
	r.receiver.answers(r.receiver.holding(answered, status(http.StatusGone)))
	d := r.start()
	r.insertEach(1, 3)
	r.receiver.next()
	r.insertEach(4, 5)
	d.waitFor(func(s Status) bool { return s.Queues[0].Waiting == 2 })
	close(answered)
	r.until("select count(*) = 5 from walpost.delivery where state = 'parked'")
	r.until("select disabled_by = 'endpoint' from walpost.webhook where name = 'hook'")
	if n := r.count("walpost.delivery where last_status = 410 and attempts = 1"); n != 3 {
		t.Errorf("410 is recorded for %d", n)
	}
	r.receiver.none()
	r.receiver.answers(nil)
	if _, err := d.ledger.Enable(t.Context(), "hook", true); err != nil {
		t.Fatal(err)
	}
	replayed := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(r.receiver.next().ids(t) + " " + r.receiver.next().ids(t)))
	slices.Sort(replayed)
	if fmt.Sprint(replayed) != "[1 2 3 4 5]" {
		t.Errorf("replayed are %v in two requests", replayed)
	}
	r.until("select count(*) = 5 from walpost.delivery where state = 'delivered'")
	d.mustStop()
	r.receiver.none()
}

func TestDrainWhileBatchGathers(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(100, "10s", ""))
	d := r.start()
	r.insertEach(1, 3)
	d.waitFor(func(s Status) bool { return s.Queues[0].Waiting == 3 })
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.delivery where state = 'pending' and attempts = 0"); n != 3 {
		t.Errorf("%d are owed, want 3", n)
	}
	r.edit(batched(3, "10s", ""))
	d = r.start()
	if got := r.receiver.next(); got.ids(t) != "[1 2 3]" || got.attempt != "1" {
		t.Errorf("after the restart: %s attempt %s", got.ids(t), got.attempt)
	}
	r.until("select count(*) = 3 from walpost.delivery where state = 'delivered'")
	d.mustStop()
	r.receiver.none()
}

// What gets old in a queue or on its way moves to the ledger, and is sent once all the same. To gather isn't to be late.
func TestLateBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(2, "2s", "  concurrency = 1\n  timeout = \"60s\""))
	release := make(chan struct{})
	r.receiver.answers(r.receiver.holding(release, nil))
	d := r.start(func(o *Options) { o.ParkAfter = 100 * time.Millisecond })
	r.insert(numbered(1, 1)...)
	if got := r.receiver.next(); got.ids(t) != "[1]" || r.count("walpost.delivery where attempts > 0 or fence = 0") != 0 {
		t.Errorf("first is %s, attempt %s", got.ids(t), got.attempt)
	}
	r.until("select count(*) = 1 from walpost.delivery where state = 'pending' and fence > 0 and due_at > walpost.now()")
	r.insert(numbered(2, 3)...) // in one transaction, so that one look finds both late
	r.until("select count(*) = 3 from walpost.delivery where state = 'pending'")
	close(release)
	if got := r.receiver.next(); got.ids(t) != "[2 3]" && got.ids(t) != "[3 2]" || got.attempt != "1" {
		t.Errorf("next is %s, attempt %s", got.ids(t), got.attempt)
	}
	r.until("select count(*) = 3 from walpost.delivery where state = 'delivered' and attempts = 1")
	d.mustStop()
	r.receiver.none()
}

func TestBatchIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(100, "1s", ""))
	d := r.start()
	for i := range 5 {
		r.insert(big(strconv.Itoa(i), 3<<20))
	}
	for seen := 0; seen < 5; {
		got := r.receiver.next()
		ids, _ := got.json(t)["ids"].([]any)
		if len(ids) > 2 {
			t.Errorf("%d events of 3 MB in one batch", len(ids))
		}
		seen += len(ids)
	}
	d.mustStop()
	r.receiver.none()
}

// Batches of any size, from several workers, with restarts of the schedule and reloads between: each event arrives.
func TestEveryEventOfManyBatchesArrivesOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(7, "20ms", "  concurrency = 3\n  queue = 50"))
	var mu sync.Mutex
	n := 0
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%5 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	d := r.start()
	const events = 1000
	for i := 0; i < events; i += 20 {
		r.insert(numbered(i, i+19)...)
		if i == 500 {
			if err := r.reloadWith(t.Context(), d, batched(20, "20ms", "  concurrency = 2\n  queue = 50")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for {
		var open int
		r.scan(`select count(*) from walpost.delivery where state <> 'delivered'`, nil, &open)
		if s := d.Status(); open == 0 && s.Queues[0].Waiting == 0 && s.Queues[0].Running == 0 && s.Counters.Delivered >= events {
			break
		}
		r.receiver.answers(nil)
		r.due()
	}
	d.mustStop()
	delivered := d.Status().Counters.Delivered
	if delivered != events {
		t.Errorf("%d deliveries of %d events", delivered, events)
	}
}

func TestBatchRefusedForOneEventFailsThatOneOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(4, "10s", "  permanent = [400]"))
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(body), `"3"`) {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	r.start()
	r.insert(numbered(1, 4)...)
	r.until("select exists (select from walpost.delivery where state = 'failed' and last_status = 400)")
	var got []string
	for range 5 { // all, the good half, the bad half, and its two
		got = append(got, r.receiver.next().ids(t))
	}
	if !slices.Contains(got, "[1 2]") || !slices.Contains(got, "[4]") {
		t.Errorf("requests for %v, want one for [1 2] and one for [4]", got)
	}
	r.receiver.none()
	if n := r.count("walpost.delivery"); n != 1 {
		t.Errorf("%d deliveries are recorded, want the refused one alone", n)
	}
}

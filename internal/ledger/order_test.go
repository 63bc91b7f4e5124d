package ledger

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

// keyed is the owed delivery of event n in the order of a key.
func keyed(n int, key string, state State) (*outbox.Row, Delivery) {
	e := event(n, 50)
	d := delivery(e, "crm", state)
	d.Order = Order{Key: key, N: 7}
	return e, d
}

func (f *fixture) owe(key string, numbers ...int) {
	f.t.Helper()
	for _, n := range numbers {
		e, d := keyed(n, key, Pending)
		f.mustRecord(owed(e, d))
	}
}

// take claims up to run deliveries of each key, and gives the numbers of their events.
func (f *fixture) take(run int) (numbers []int, claimed []Claimed) {
	f.t.Helper()
	claimed, err := f.Claim(f.t.Context(), []Capacity{{Webhook: "crm", Limit: 10, Lease: 30 * time.Second, Run: run, Most: max(100, run)}})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, c := range claimed {
		numbers = append(numbers, number(f.t, &c))
	}
	return numbers, claimed
}

func number(t testing.TB, c *Claimed) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(c.Event.ID, "event-"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fixture) expectTaken(run int, want string) []Claimed {
	f.t.Helper()
	numbers, claimed := f.take(run)
	if got := fmt.Sprint(numbers); got != want {
		f.t.Errorf("claimed %s, want %s", got, want)
	}
	return claimed
}

// end records an outcome of a claimed delivery.
func (f *fixture) end(c *Claimed, state State) {
	f.t.Helper()
	f.mustRecord(attempted(ending(c, state)))
}

func ending(c *Claimed, state State) Attempted {
	a := Attempted{
		ID: c.ID, Event: c.Event, Topic: c.Topic, Webhook: c.Webhook, Attempt: c.Attempt, Fence: c.Fence, Order: c.Order,
		State: state, Verdict: "delivered",
	}
	if state == Retrying {
		a.Verdict, a.DueIn = "retry", 5*time.Minute
	}
	return a
}

func TestOneOfAKeyIsOutAtATime(t *testing.T) {
	t.Parallel()
	for _, end := range []State{Delivered, Failed, Cancelled} {
		t.Run(string(end), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{})
			f.owe("a", 1, 2, 3)
			f.owe("b", 4)
			claimed := f.expectTaken(1, "[1 4]")
			if !claimed[0].More || claimed[1].More || claimed[0].Order != (Order{Key: "a", N: 7}) {
				t.Errorf("claimed %+v", claimed)
			}
			f.expectTaken(1, "[]")
			f.end(&claimed[0], Retrying)
			f.expectTaken(1, "[]")
			if d := f.view(deliveryID(event(3, 50), "crm")); d.HeldBehind != claimed[0].ID || !d.DueAt.IsZero() || d.OrderKey != "a" {
				t.Errorf("the third of the key is %+v, want it held behind %s", d, claimed[0].ID)
			}
			f.shift(6 * time.Minute)
			claimed = f.expectTaken(1, "[1 4]") // the lease of 4 is over, too
			f.end(&claimed[0], end)
			claimed = f.expectTaken(1, "[2]")
			f.end(&claimed[0], end)
			claimed = f.expectTaken(1, "[3]")
			if claimed[0].More {
				t.Error("nothing is behind the last")
			}
			f.end(&claimed[0], end)
			if keys, err := f.OrderKeys(t.Context(), "crm", 10); err != nil || fmt.Sprint(keys) != "[b]" {
				t.Errorf("keys that are owed: %v, %v", keys, err)
			}
		})
	}
}

func TestClaimBringsWhatIsBehind(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.owe("a", 1, 2, 3, 4, 5)
	f.owe("b", 6, 7)
	claimed := f.expectTaken(3, "[1 2 3 6 7]")
	if !claimed[2].More || claimed[4].More {
		t.Errorf("claimed %+v", claimed)
	}
	f.end(&claimed[0], Delivered)
	f.expectTaken(3, "[]") // 2 is out now, and ours
	f.end(&claimed[1], Retrying)
	f.end(&claimed[3], Delivered)
	f.end(&claimed[4], Delivered)
	f.expectTaken(3, "[]")
	f.shift(5*time.Minute + time.Second)
	claimed = f.expectTaken(3, "[2 3 4]")
	if claimed[0].Attempt != 2 || claimed[1].Fence != 3 || claimed[2].Fence != 1 {
		t.Errorf("claimed %+v", claimed)
	}
	f.shift(10 * time.Minute) // this claimer is gone: another gets all of it
	claimed = f.expectTaken(9, "[2 3 4 5]")
	for i := range claimed {
		f.end(&claimed[i], Delivered)
	}
	f.expectTaken(9, "[]")
	if n := f.count("delivery where state = 'delivered'"); n != 7 {
		t.Errorf("%d deliveries are over, want all", n)
	}
}

// After a crash the slot repeats events, and an earlier one than what is owed may be recorded. It goes first, unless the
// other is on its way.
func TestARepeatedEventGoesBeforeWhatIsOwed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e, first := keyed(5, "a", Retrying)
	failed := outcome(e, "crm", 1, 0, Retrying, "retry")
	failed.DueIn, failed.Order = 5*time.Minute, first.Order
	f.mustRecord(attempted(failed))
	f.owe("a", 6, 4)
	claimed := f.expectTaken(1, "[4]")
	f.owe("a", 3)
	f.expectTaken(1, "[]") // 4 is on its way
	f.end(&claimed[0], Delivered)
	claimed = f.expectTaken(1, "[3]")
	f.end(&claimed[0], Delivered)
	f.expectTaken(9, "[]") // 5 keeps its due time, and holds 6
	f.shift(5*time.Minute + time.Second)
	f.expectTaken(9, "[5 6]")
}

func TestAReplayedDeliveryGoesInItsPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.owe("a", 1, 2, 3)
	claimed := f.expectTaken(1, "[1]")
	f.end(&claimed[0], Failed)
	running := f.expectTaken(1, "[2]")
	if n, err := f.Replay(t.Context(), Filter{IDs: []string{claimed[0].ID}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	f.expectTaken(1, "[]")
	f.end(&running[0], Delivered)
	claimed = f.expectTaken(2, "[1 3]")
	f.end(&claimed[0], Delivered)
	f.end(&claimed[1], Delivered)
}

func TestEnableWithReplayKeepsOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.owe("a", 1, 2)
	f.owe("b", 3)
	claimed := f.expectTaken(1, "[1 3]")
	gone := ending(&claimed[0], Parked)
	gone.Verdict, gone.Disable = "gone", &Reason{By: "endpoint", Why: "410"}
	f.mustRecord(attempted(gone))
	e, d := keyed(4, "a", Parked)
	f.mustRecord(owed(e, d))
	if n, err := f.parkWaiting(t.Context(), "crm", 1); n != 2 || err != nil {
		t.Fatalf("parked %d, %v", n, err)
	}
	if n := f.count("delivery where state = 'parked'"); n != 4 {
		t.Fatalf("%d are parked, want all", n)
	}
	if n, err := f.Enable(t.Context(), "crm", true); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	f.owe("a", 6)
	e, d = keyed(5, "a", Parked) // by a daemon that hasn't heard that the webhook is enabled
	f.mustRecord(owed(e, d))
	claimed = f.expectTaken(9, "[1 2 3 4 5 6]")
	if claimed[0].Attempt != 1 {
		t.Error("the schedule is not a new one")
	}
}

func TestDisabledWhileItIsBeingEnabled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.owe("a", 1)
	if err := f.Disable(t.Context(), "crm", Reason{By: "operator"}); err != nil {
		t.Fatal(err)
	}
	f.db.Exec(t, webhookEnablingSQL, "crm")
	if n, err := f.ParkWaiting(t.Context(), "crm"); n != 0 || err != nil {
		t.Errorf("parked %d (%v) of a webhook that is being enabled", n, err)
	}
	f.expectTaken(1, "[]")
	if err := f.Disable(t.Context(), "crm", Reason{By: "operator", Why: "again"}); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ParkWaiting(t.Context(), "crm"); n != 1 || err != nil {
		t.Errorf("parked %d (%v) of a disabled webhook", n, err)
	}
}

// A key of which nothing is out is put right by whoever reads the keys.
func TestOrderKeysMendsAKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.owe("a", 1, 2)
	f.owe("b", 3)
	f.db.Exec(t, "update walpost.delivery set held = true where order_key = 'a'")
	f.expectTaken(1, "[3]")
	if keys, err := f.OrderKeys(t.Context(), "crm", 10); err != nil || fmt.Sprint(keys) != "[a b]" {
		t.Errorf("keys that are owed: %v, %v", keys, err)
	}
	f.expectTaken(1, "[1]")
	if keys, err := f.OrderKeys(t.Context(), "crm", 1); err != nil || len(keys) != 1 {
		t.Errorf("keys that are owed: %v, %v, want one", keys, err)
	}
	if open, err := f.OrderOpen(t.Context(), "crm", []string{"b", "c"}); err != nil || fmt.Sprint(open) != "[b]" {
		t.Errorf("open are %v, %v", open, err)
	}
}

// Several daemons take, end and record at random: of each key all are sent in order, one at a time.
func TestConcurrentDaemonsKeepOrder(t *testing.T) {
	t.Parallel()
	const keys, each, daemons = 4, 15, 3
	f := newFixture(t, Options{})
	var mu sync.Mutex
	sent := map[string][]int{}
	var leader, workers sync.WaitGroup
	leader.Go(func() {
		var open sync.WaitGroup
		for n := range keys * each {
			e, d := keyed(n, strconv.Itoa(n%keys), Pending)
			open.Add(1)
			if err := f.Submit(t.Context(), owed(e, d)(func(error) { open.Done() })); err != nil {
				t.Error(err)
			}
			if n%17 == 0 {
				open.Wait()
			}
		}
		open.Wait()
	})
	for i := range daemons {
		daemon := start(t, f.db, Options{BatchDelay: time.Millisecond})
		random := rand.New(rand.NewPCG(1, uint64(i))) //nolint:gosec // no secret
		workers.Go(func() {
			for daemon.count("delivery where state = 'delivered'") < keys*each {
				_, claimed := daemon.take(1 + random.IntN(4))
				dropped := map[string]bool{}
				for i := range claimed {
					c := &claimed[i]
					switch {
					case dropped[c.Order.Key]:
					case random.IntN(5) == 0: // interrupted: due at once
						dropped[c.Order.Key] = true
						back := ending(c, Pending)
						back.Verdict = VerdictInterrupted
						daemon.mustRecord(attempted(back))
					default:
						mu.Lock()
						sent[c.Order.Key] = append(sent[c.Order.Key], number(t, c))
						mu.Unlock()
						daemon.end(c, Delivered)
					}
				}
			}
		})
	}
	leader.Wait()
	workers.Wait()
	for key, numbers := range sent {
		for i, n := range numbers {
			if k, _ := strconv.Atoi(key); n != i*keys+k {
				t.Fatalf("key %s was sent as %v", key, numbers)
			}
		}
	}
}

// fillKey owes n deliveries of one key, each with its event, by plain SQL and without statistics, as a flood would.
func (f *fixture) fillKey(n int) {
	f.t.Helper()
	f.db.Exec(f.t, fmt.Sprintf(`insert into walpost.event (id, aggregate_type, aggregate_id, type, payload, lsn, recorded_at)
		select 'event-' || i, 'contact', '7', 'contact.tagged', '{"contact":{"id":7}}', '0/0'::pg_lsn + i, now() from generate_series(1, %d) i;
		insert into walpost.webhook (name, updated_at) values ('crm', now()) on conflict do nothing;
		insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at, order_key, order_lsn, order_n, held)
		select gen_random_uuid(), 'event-' || i, 'contact.tagged', 'crm', 'pending', case when i = 1 then now() else 'infinity' end, now(), now(),
			'hot', '0/0'::pg_lsn + i, 7, i > 1 from generate_series(1, %d) i`, n, n))
}

var actualRows = regexp.MustCompile(`actual rows=(\d+)`)

// touched is the most rows that a step of a statement gives.
func touched(t testing.TB, f *fixture, sql string, args ...any) (most int) {
	t.Helper()
	rows, _ := f.pool.Query(t.Context(), "explain (analyze, costs off, timing off, summary off) "+sql, args...)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if strings.Contains(line, "Seq Scan on delivery") || strings.Contains(line, "Seq Scan on event") {
			t.Errorf("the table is read whole:\n%s", strings.Join(lines, "\n"))
		}
		if found := actualRows.FindStringSubmatch(line); found != nil {
			n, _ := strconv.Atoi(found[1])
			most = max(most, n)
		}
	}
	return most
}

// What waits behind the first of a key costs a claim nothing, nor the end of the first, although the server's statistics make it
// expect a tenth of all that waits.
func TestClaimCostDoesNotGrowWithWhatIsHeld(t *testing.T) {
	t.Parallel()
	const run = 16
	f := newFixture(t, Options{})
	f.fillKey(30_000)
	f.db.Exec(t, "vacuum analyze walpost.delivery, walpost.event")
	n := touched(t, f, claimSQL, []string{"crm"}, []int32{32}, []time.Duration{time.Minute}, int64(claimMaxBytes),
		[]time.Time{{}}, []int32{run}, []int32{500})
	if n > 2*run {
		t.Errorf("a claim of %d looks at %d", run, n)
	}
	f.db.Exec(t, "update walpost.delivery set state = 'delivered', finished_at = now() where not held")
	if n := touched(t, f, orderSettleSQL, []string{"crm"}, []string{"hot"}); n > 2 {
		t.Errorf("to let out the next one %d are looked at", n)
	}
	if n := touched(t, f, orderUnleaseSQL, []string{"crm"}, []string{"hot"}, run); n > 3*run {
		t.Errorf("to give back %d %d are looked at", run, n)
	}
	if n := touched(t, f, orderKeysSQL, "crm", 10, ""); n > 2 {
		t.Errorf("to find the one key %d are looked at", n)
	}
}

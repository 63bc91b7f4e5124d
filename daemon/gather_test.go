package daemon

import (
	"slices"
	"testing"
)

func TestBatchIsFullWhenItsQueueIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(100, "10s", "  queue = 3"))
	d := r.start()
	r.insertEach(1, 3)
	if got := r.receiver.next(); got.ids(t) != "[1 2 3]" {
		t.Errorf("first batch is %s", got.ids(t))
	}
	d.mustStop()
	r.receiver.none()
}

// A reload finds deliveries that gather: they go on as the new configuration says.
func TestReloadWhileBatchGathers(t *testing.T) {
	t.Parallel()
	r := newRig(t, batched(100, "10s", ""))
	d := r.start()
	gather := func(from, to int) {
		t.Helper()
		r.insertEach(from, to)
		d.waitFor(func(s Status) bool { return s.Queues[0].Waiting == to-from+1 })
	}
	reload := func(hcl string) {
		t.Helper()
		if err := r.reloadWith(t.Context(), d, hcl); err != nil {
			t.Fatal(err)
		}
	}
	gather(1, 2)
	reload(one) // each by itself
	sent := []string{r.receiver.next().id, r.receiver.next().id}
	want := []string{deliveryOf(1), deliveryOf(2)}
	slices.Sort(sent)
	slices.Sort(want)
	if !slices.Equal(sent, want) {
		t.Errorf("sent are %v, want %v", sent, want)
	}
	reload(batched(100, "10s", ""))
	gather(3, 5)
	reload(batched(3, "10s", "")) // is full now
	if got := r.receiver.next(); got.ids(t) != "[3 4 5]" {
		t.Errorf("sent is %s", got.ids(t))
	}
	gather(6, 7)
	reload("")
	r.until("select count(*) = 2 from walpost.delivery where state = 'pending' and attempts = 0")
	d.mustStop()
	r.receiver.none()
}

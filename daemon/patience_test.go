package daemon

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/config"
)

func TestPatienceIsForgottenSlowly(t *testing.T) {
	t.Parallel()
	var p patience
	now := time.Now()
	if !p.left(now) {
		t.Error("none at the start")
	}
	p.charge(patienceMost-time.Millisecond, now)
	if !p.left(now) {
		t.Error("none left of a millisecond")
	}
	p.charge(10*time.Millisecond, now)
	if p.left(now) || p.left(now.Add(9*time.Millisecond*patienceShare)) {
		t.Error("some left, above what there is")
	}
	if !p.left(now.Add(11 * time.Millisecond * patienceShare)) {
		t.Error("none left after the time to recover")
	}
	if p.charge(0, now.Add(24*time.Hour)); p.spent != 0 {
		t.Errorf("%s are left to spend after a day", patienceMost-p.spent)
	}
}

// TestFullQueuesDoNotAddUp: however many queues are full, and however often something comes for each, a queue that has
// nothing to do waits no longer for all of them than for one.
func TestFullQueuesDoNotAddUp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		good  bool  // there is a queue that has nothing to do
		used  int64 // of two bytes of memory
		takes admission
	}{
		{true, 1, refusedFull},
		{true, 0, admitted}, // beyond its bound, while memory is ample
		{false, 1, refusedFull},
	} {
		synctest.Test(t, func(t *testing.T) {
			const full, events = 500, 20
			forever := make(chan struct{})
			p := &plan{queues: map[string]*queue{}}
			for i := range full {
				q := bench(&config.Webhook{Concurrency: 1, Queue: 1}, func(*queue, work) { <-forever })
				q.push(fresh(0), time.Now(), enough)
				q.push(fresh(1), time.Now(), enough)
				p.queues[fmt.Sprint(i)] = q
			}
			r := newRouter(&pipeline{budget: newBudget(2)}, nil)
			r.budget.take(tc.used)
			if tc.good {
				q := bench(&config.Webhook{Concurrency: 1}, func(*queue, work) {})
				q.push(fresh(0), time.Now(), enough)
				p.queues["good"] = q
			}
			synctest.Wait()
			begin := time.Now()
			for i := range events {
				for name, q := range p.queues {
					if name == "good" {
						continue
					}
					if a := r.offer(t.Context(), p, q, fresh(i+2)); a != tc.takes {
						t.Errorf("a full queue answers %d, want %d", a, tc.takes)
					}
				}
			}
			took := time.Since(begin)
			if most := patienceMost + lookAgain; tc.good && took > most {
				t.Errorf("the good one waited for %s, %s are allowed", took, most)
			}
			if !tc.good && took < stallAfter {
				t.Errorf("waited for %s, although nobody else had something to do", took)
			}
			close(forever)
			for _, q := range p.queues {
				q.shut(gateStopped)
				q.workers.Wait()
			}
		})
	}
}

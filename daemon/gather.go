package daemon

import (
	"cmp"
	"time"
)

// work is what a worker takes at a time.
type work struct {
	target *target
	first  *delivery // nil: there is nothing to do
	mark   mark
	// batch is what goes in one request, first among it; nil where the webhook takes each delivery by itself.
	batch *batch
}

// claimedSize is how many bytes of claimed payloads the work holds.
func (w *work) claimedSize() (n int64) {
	if w.batch == nil {
		return w.first.claimedSize()
	}
	for _, d := range w.batch.members {
		n += d.claimedSize()
	}
	return n
}

// batchSize is how many deliveries go into one request at most. The caller holds mu.
func (q *queue) batchSize() int {
	w := q.target.webhook
	if w.Batch == nil {
		return 1
	}
	return min(w.Batch.Max, w.Queue) // more never wait
}

// due reports whether the deliveries that wait can start: at once if each goes by itself, a batch when it is full or its
// first member has waited for long enough. The caller holds mu.
func (q *queue) due() bool {
	n, batch := q.waiting.len(), q.target.webhook.Batch
	return n > 0 && (batch == nil || q.batchDue(n, batch.Wait))
}

func (q *queue) batchDue(waiting int, wait time.Duration) bool {
	return waiting >= q.batchSize() || time.Since(q.waiting.since()) >= wait
}

// await sets the alarm for what waits though a worker could take it: a batch for more members, or the pace's time. A
// running worker looks by itself when it has ended. The caller holds mu.
func (q *queue) await() {
	if q.target.webhook.Batch != nil || q.pace.timed() || q.alarm != nil {
		q.setAlarm()
	}
}

func (q *queue) setAlarm() {
	at := q.dueAt()
	if at.IsZero() && q.alarm != nil {
		q.alarm.Stop()
	}
	if at.Equal(q.alarmAt) {
		return
	}
	q.alarmAt = at
	switch {
	case at.IsZero():
	case q.alarm == nil:
		q.alarm = time.AfterFunc(time.Until(at), q.alarmed)
	default:
		q.alarm.Reset(time.Until(at))
	}
}

// dueAt is when what waits can start; zero if nothing waits, or for something else than a time. The caller holds mu.
func (q *queue) dueAt() time.Time {
	if q.gate != gateOpen || q.waiting.len() == 0 || q.running >= q.slots() {
		return time.Time{}
	}
	at := q.pace.at(time.Now())
	if batch := q.target.webhook.Batch; batch != nil && q.waiting.len() < q.batchSize() {
		if full := q.waiting.since().Add(batch.Wait); full.After(at) {
			at = full
		}
	}
	return at
}

// alarmed is called when the alarm goes off. What it was set for may be gone: then it is set anew.
func (q *queue) alarmed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.alarmAt = time.Time{}
	q.start()
}

// hurry starts the batch that waits for more members, because there is no room for more, and reports whether there was
// one to start. The caller holds mu.
func (q *queue) hurry() bool {
	if q.target.webhook.Batch == nil || !q.ready(q.running) {
		return false
	}
	q.launch()
	return true
}

// takeBatch takes what goes in one request with first. The caller holds mu.
func (q *queue) takeBatch(first *delivery) *batch {
	most := q.batchSize()
	members := append(make([]*delivery, 0, min(most, 1+q.waiting.len())), first)
	size := first.size()
	for len(members) < most {
		behind := q.waiting.lanes.after(members[len(members)-1])
		d := cmp.Or(behind, q.waiting.front())
		if d == nil || size+d.size() > maxQueueBytes {
			break
		}
		size += d.size()
		if behind != nil {
			q.took(q.waiting.lanes.follower(d.Key))
		} else {
			q.takeFront()
		}
		members = append(members, d)
	}
	inCommitOrder(members)
	return &batch{queue: q, target: q.target, members: members}
}

package daemon

import "time"

// A webhook can leave the configuration and come back while attempts of it run. Its new queue succeeds the old one: together
// they keep within the concurrency, and the new one knows how often and how well the old one's attempts went.

// succeed puts q, which is new, in the place of old, which is shut.
func (q *queue) succeed(old *queue) {
	old.mu.Lock()
	old.heir = q
	inherited := old.pace
	old.pace = pace{}
	old.mu.Unlock()

	q.mu.Lock()
	defer q.mu.Unlock()
	q.before, q.pace = old, inherited
	q.pace.follow(q.target.webhook, q.target.url, time.Now())
}

// remaining is how many attempts of a queue that was succeeded still run, and of those before it.
func (q *queue) remaining() int {
	if q == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running + q.before.remaining()
}

// pass lets the queue that succeeded this one start what it waited for.
func (q *queue) pass() {
	q.mu.Lock()
	heir := q.heir
	q.mu.Unlock()
	if heir == nil {
		return
	}
	heir.mu.Lock()
	defer heir.mu.Unlock()
	heir.start()
}

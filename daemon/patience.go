package daemon

import "time"

// patience is how long others may be kept waiting while the router waits for room in full queues: for patienceMost at once, and for
// one part in patienceShare of the time in the long run. It is one for all queues: with one for each, five hundred
// full ones would add up. The zero value has all of it.
type patience struct {
	spent time.Duration
	at    time.Time // when spent was true
}

const (
	patienceMost = 50 * time.Millisecond
	// patienceShare keeps what is waited within a quarter of what a 99th percentile leaves out.
	patienceShare = 400
)

// left reports whether there is some.
func (p *patience) left(now time.Time) bool {
	p.recover(now)
	return p.spent < patienceMost
}

// charge takes the time for which others were kept waiting.
func (p *patience) charge(waited time.Duration, now time.Time) {
	p.recover(now)
	p.spent += waited
}

func (p *patience) recover(now time.Time) {
	p.spent = max(0, p.spent-now.Sub(p.at)/patienceShare)
	p.at = now
}

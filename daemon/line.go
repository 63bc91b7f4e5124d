package daemon

import "time"

// line is what waits in a queue: fresh deliveries from the stream, and owed ones that were claimed from the ledger. Fresh ones
// go first, so that what came due at once after an outage doesn't hold up live traffic; but of owedShare that go one is an
// owed one, so that a flood of fresh ones doesn't keep a retry from its due time. Those that wait for another one of their key are
// not in the two rings but in a lane.
type line struct {
	fresh, owed ring
	lanes       lanes
	passed      int // fresh ones that went while an owed one waited, since one of these went
}

// len is how many can go: for a batch, those too that go behind one of their key.
func (l *line) len() int { return l.heads() + l.lanes.chained - l.lanes.blocked }

// heads is how many can go beside each other.
func (l *line) heads() int { return l.fresh.len() + l.owed.len() }

// unknown is how many wait of which the ledger doesn't know.
func (l *line) unknown() int { return l.fresh.len() + l.lanes.fresh }

func (l *line) push(d *delivery) {
	if d.Key != "" && l.lanes.behind(d) {
		return
	}
	l.ring(d).push(d)
}

func (l *line) ring(d *delivery) *ring {
	if d.recorded() {
		return &l.owed
	}
	return &l.fresh
}

// next is the ring of which the front goes next; it is empty when none waits.
func (l *line) next() *ring {
	if l.fresh.len() == 0 || l.owed.len() > 0 && l.passed >= owedShare-1 {
		return &l.owed
	}
	return &l.fresh
}

// front is the delivery that goes next, nil when none waits.
func (l *line) front() *delivery { return l.next().front() }

// since is when the one that has waited longest began to. The caller knows that one waits.
func (l *line) since() time.Time {
	fresh, owed := l.fresh.front(), l.owed.front()
	switch {
	case fresh == nil:
		return owed.since
	case owed == nil || fresh.since.Before(owed.since):
		return fresh.since
	default:
		return owed.since
	}
}

// pop takes the front to be attempted.
func (l *line) pop() *delivery {
	ring := l.next()
	switch {
	case ring == &l.owed:
		l.passed = 0
	case l.owed.len() > 0:
		l.passed++
	}
	d := ring.pop()
	if d != nil && d.Key != "" {
		l.lanes.taken(d)
	}
	return d
}

// ended gives the turn to the next of the key of a delivery whose attempt is over. What has waited longer than the front goes
// before it, so that the front is the one that has waited longest.
func (l *line) ended(d *delivery) {
	next := l.lanes.ended(d)
	if next == nil {
		return
	}
	ring := l.ring(next)
	if front := ring.front(); front != nil && next.since.Before(front.since) {
		ring.pushFront(next)
	} else {
		ring.push(next)
	}
}

// drop takes the front of one ring out unsent, with all that waits for it, in order.
func (l *line) drop(from *ring) []*delivery {
	d := from.pop()
	if d.Key == "" {
		return []*delivery{d}
	}
	return append([]*delivery{d}, l.lanes.dropped(d)...)
}

// extract takes all out that waits of a key and that the ledger doesn't know.
func (l *line) extract(key string) []*delivery {
	k := l.lanes.of[key]
	if k == nil {
		return nil
	}
	fresh := l.lanes.unknown(k)
	if len(k.running) > 0 {
		return fresh
	}
	first := l.fresh.remove(key)
	if first == nil {
		return fresh
	}
	if next := l.lanes.unchain(k); next != nil {
		l.ring(next).push(next)
	} else {
		delete(l.lanes.of, key)
	}
	return append([]*delivery{first}, fresh...)
}

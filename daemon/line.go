package daemon

// line is what waits in a queue: fresh deliveries from the stream, and owed ones that were claimed from the ledger.
// Owed ones go first: few are claimed at a time, and a flood of fresh ones must not keep a retry from its due time.
type line struct{ fresh, owed ring }

func (l *line) len() int { return l.fresh.len() + l.owed.len() }

func (l *line) push(d *delivery) {
	if d.recorded() {
		l.owed.push(d)
		return
	}
	l.fresh.push(d)
}

// front is the delivery that goes next, nil when none waits.
func (l *line) front() *delivery {
	if d := l.owed.front(); d != nil {
		return d
	}
	return l.fresh.front()
}

func (l *line) pop() *delivery {
	if d := l.owed.pop(); d != nil {
		return d
	}
	return l.fresh.pop()
}

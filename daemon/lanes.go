package daemon

// lanes keep the order of a queue's keys: of the deliveries of a key, one waits in the line or is being attempted, and the
// others wait behind it, in a chain. So a worker's take looks at no delivery that must wait, and a waiting one costs
// neither a goroutine nor a look. Only deliveries that have a key have a lane.
type lanes struct {
	of map[string]*lane
	// chained are the deliveries that wait behind another one of their key, fresh those of them that the ledger doesn't
	// know, blocked those whose key is being attempted.
	chained, fresh, blocked int
}

// lane is one key. It exists as long as something of it waits or is being attempted.
type lane struct {
	first, last *delivery // the chain
	length      int
	running     []*delivery // taken and not ended; more than one only in a batch
	// stopped: one of those that were taken is to be attempted again later, so that none after it may be attempted now.
	stopped bool
}

// behind puts the delivery behind those of its key, and reports false if there are none: it goes into the line then.
func (l *lanes) behind(d *delivery) bool {
	k := l.of[d.Key]
	if k == nil {
		if l.of == nil {
			l.of = map[string]*lane{}
		}
		l.of[d.Key] = &lane{}
		return false
	}
	if k.last == nil {
		k.first = d
	} else {
		k.last.next = d
	}
	k.last = d
	k.length++
	l.count(k, d, 1)
	return true
}

func (l *lanes) count(k *lane, d *delivery, n int) {
	l.chained += n
	if !d.recorded() {
		l.fresh += n
	}
	if len(k.running) > 0 {
		l.blocked += n
	}
}

// unchain takes the first of the chain out.
func (l *lanes) unchain(k *lane) *delivery {
	d := k.first
	if d == nil {
		return nil
	}
	if k.first, d.next = d.next, nil; k.first == nil {
		k.last = nil
	}
	k.length--
	l.count(k, d, -1)
	return d
}

// taken notes that a delivery of the line is being attempted.
func (l *lanes) taken(d *delivery) {
	k := l.of[d.Key]
	if len(k.running) == 0 {
		l.blocked += k.length
	}
	k.running = append(k.running, d)
}

// after is the delivery that goes after one that was taken; nil if there is none, or it has no key.
func (l *lanes) after(d *delivery) *delivery {
	if d.Key == "" {
		return nil
	}
	return l.of[d.Key].first
}

// follower takes the delivery that goes after one that was taken, into the same batch; nil if there is none.
func (l *lanes) follower(key string) *delivery {
	k := l.of[key]
	d := l.unchain(k)
	if d != nil {
		k.running = append(k.running, d)
	}
	return d
}

// ended notes that the attempt of a delivery is over. next is the one whose turn it is now; nil: there is none yet.
func (l *lanes) ended(d *delivery) (next *delivery) {
	k := l.of[d.Key]
	for i, r := range k.running {
		if r == d {
			k.running = append(k.running[:i], k.running[i+1:]...)
			break
		}
	}
	if len(k.running) > 0 {
		return nil
	}
	k.stopped = false
	l.blocked -= k.length
	if next = l.unchain(k); next == nil {
		delete(l.of, d.Key)
	}
	return next
}

// stop takes all out that waits behind a delivery whose attempt is over without an end: they must wait for it.
func (l *lanes) stop(d *delivery) []*delivery {
	chain := l.chain(l.of[d.Key])
	if l.ended(d); l.of[d.Key] != nil {
		l.of[d.Key].stopped = true
	}
	return chain
}

// chain takes all out that waits behind another one.
func (l *lanes) chain(k *lane) (chain []*delivery) {
	for d := l.unchain(k); d != nil; d = l.unchain(k) {
		chain = append(chain, d)
	}
	return chain
}

// unknown takes out of the chain what the ledger doesn't know, which is at its end.
func (l *lanes) unknown(k *lane) (fresh []*delivery) {
	chain := l.chain(k)
	for i, d := range chain {
		if !d.recorded() {
			fresh = chain[i:]
			chain = chain[:i]
			break
		}
	}
	for _, d := range chain {
		l.behind(d)
	}
	return fresh
}

// dropped notes that a delivery left the line unsent, and takes out what waits behind it.
func (l *lanes) dropped(d *delivery) []*delivery {
	chain := l.chain(l.of[d.Key])
	delete(l.of, d.Key)
	return chain
}

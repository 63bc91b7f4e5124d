package daemon

// ring is a growing first-in-first-out buffer: waiting deliveries are pushed at the back and taken from the
// front, in constant time and without an allocation per delivery.
type ring struct {
	slots []*delivery
	head  int
	count int
}

func (r *ring) len() int { return r.count }

func (r *ring) push(d *delivery) {
	if r.count == len(r.slots) {
		r.grow()
	}
	r.slots[(r.head+r.count)%len(r.slots)] = d
	r.count++
}

// pushFront puts the delivery before all others.
func (r *ring) pushFront(d *delivery) {
	if r.count == len(r.slots) {
		r.grow()
	}
	r.head = (r.head + len(r.slots) - 1) % len(r.slots)
	r.slots[r.head] = d
	r.count++
}

// remove takes the delivery of a key out, of which there is one at most; nil if there is none. It looks at all.
func (r *ring) remove(key string) (found *delivery) {
	for range r.count {
		d := r.pop()
		if found == nil && d.Key == key {
			found = d
			continue
		}
		r.push(d)
	}
	return found
}

// front is the delivery that has waited longest, nil when none waits.
func (r *ring) front() *delivery {
	if r.count == 0 {
		return nil
	}
	return r.slots[r.head]
}

// pop takes the front, nil when none waits.
func (r *ring) pop() *delivery {
	if r.count == 0 {
		return nil
	}
	d := r.slots[r.head]
	r.slots[r.head] = nil
	r.head = (r.head + 1) % len(r.slots)
	r.count--
	return d
}

func (r *ring) grow() {
	slots := make([]*delivery, max(16, 2*len(r.slots)))
	n := copy(slots, r.slots[r.head:])
	copy(slots[n:], r.slots[:r.head])
	r.slots, r.head = slots, 0
}

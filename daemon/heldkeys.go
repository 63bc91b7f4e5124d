package daemon

import "time"

// heldKeys are the keys of a queue of which the ledger may owe something. A fresh delivery of such a key goes into the ledger, too,
// behind the others: it must not overtake them. A key leaves when all that the ledger owes of it is in the queue; what
// comes after that waits behind it there. Keys that the ledger owes nothing of cost no query and no write.
//
// The ledger is the truth: the keys are read from it when we become the leader and when the webhook is enabled, and from then
// on the leader knows them, since only it records what is fresh. The queue's mu guards it.
type heldKeys struct {
	of    map[string]*heldKey
	bytes int
	// wide: there may be others, since they are not read yet, or are more than maxHeldBytes can hold. Every key is held then.
	wide bool
	// reading: they are being read; what is recorded meanwhile is kept.
	reading bool
	tick    uint64    // counts records, and how often the keys were forgotten
	since   uint64    // the tick when they were forgotten last
	read    time.Time // when they were read last
	asked   time.Time // when the ledger was asked last which of them it owes nothing of
}

// heldKey is what we know of a key.
type heldKey struct {
	writing int    // entries on their way to the ledger
	touched uint64 // the tick of the last entry that arrived there
	// failing: the first of the key is to be attempted again later, so that nothing of it can be claimed before.
	failing bool
}

const (
	// maxHeldBytes bounds the keys that are kept in memory, for each queue.
	maxHeldBytes = 8 << 20
	// readAgain is how long after a try keys that were too many are read again.
	readAgain = 10 * time.Second
	// askEvery and askAtOnce bound the questions for keys that may be free.
	askEvery  = time.Second
	askAtOnce = 500
	// heldOverhead is about what a key costs beside its text.
	heldOverhead = 80
)

// has reports whether a fresh delivery of the key belongs into the ledger.
func (h *heldKeys) has(key string) bool { return h.wide || h.of[key] != nil }

// writing notes that an entry of the key is on its way to the ledger. For each there must be a written.
func (h *heldKeys) writing(key string) {
	h.add(key).writing++
	if !h.wide && h.bytes > maxHeldBytes {
		h.wide = true
		h.sweep()
	}
}

func (h *heldKeys) add(key string) *heldKey {
	k := h.of[key]
	if k == nil {
		if h.of == nil {
			h.of = map[string]*heldKey{}
		}
		k = &heldKey{}
		h.of[key] = k
		h.bytes += len(key) + heldOverhead
	}
	return k
}

func (h *heldKeys) remove(key string) {
	delete(h.of, key)
	h.bytes -= len(key) + heldOverhead
}

// written notes that an entry has arrived.
func (h *heldKeys) written(key string) {
	k := h.of[key]
	h.tick++
	k.writing--
	if k.touched = h.tick; h.wide && !h.reading && k.writing == 0 {
		h.remove(key)
	}
}

// free lets a key go that the ledger, as it was at that tick, owes nothing of, or nothing that the queue doesn't have.
func (h *heldKeys) free(key string, tick uint64) {
	if k := h.of[key]; k != nil && k.writing == 0 && k.touched <= tick {
		h.remove(key)
	}
}

// forget makes the ledger's keys unknown.
func (h *heldKeys) forget() {
	h.tick++
	h.wide, h.reading, h.read, h.since = true, false, time.Time{}, h.tick
	h.sweep()
}

// unread reports whether the keys are to be read now, and begins that; learn ends it, with the same time.
func (h *heldKeys) unread(now time.Time) bool {
	if !h.wide || h.reading || now.Sub(h.read) < readAgain {
		return false
	}
	h.reading, h.read = true, now
	return true
}

// sweep leaves only what is on its way to the ledger.
func (h *heldKeys) sweep() {
	for key, k := range h.of {
		if k.writing == 0 {
			h.remove(key)
		}
	}
}

// learn takes the keys that the ledger owes; whole: these are all. It ends what unread began at that time.
func (h *heldKeys) learn(began time.Time, keys []string, whole bool) {
	if !h.reading || !h.read.Equal(began) {
		return // forgotten meanwhile
	}
	h.reading = false
	for _, key := range keys {
		k := h.add(key)
		k.touched = max(k.touched, h.since) // an answer from before lets none of them go
	}
	if h.wide = !whole || h.bytes > maxHeldBytes; h.wide {
		h.sweep()
	}
}

// doubtful gives up to askAtOnce keys that the ledger may owe nothing of any more: another daemon may have sent it.
func (h *heldKeys) doubtful(now time.Time) (keys []string) {
	if h.wide || now.Sub(h.asked) < askEvery {
		return nil
	}
	h.asked = now
	for key, k := range h.of { // in another order each time
		if k.writing == 0 {
			keys = append(keys, key)
		}
		if len(keys) == askAtOnce {
			break
		}
	}
	return keys
}

package daemon

import "sync/atomic"

// term is one time of leading: from when the slot's epoch is ours until another daemon leads, or may. What was received
// in it is ours to deliver and to record as long as it lasts.
type term struct {
	epoch int64
	over  atomic.Bool
}

// claimBits is the room for claims between the fences of two epochs.
const claimBits = 24

// fence is that of a delivery which is recorded while its first attempt still runs. Claims count on from it. As the epoch
// is in it, an outcome that a former leader brings for the same delivery never has the same one.
func (t *term) fence() int64 { return t.epoch<<claimBits + 1 }

// endTerm leaves what waits of the stream to who leads next: that one is sent it, too. Attempts that run go on; what they
// come to is recorded if nobody else leads by then.
func (p *pipeline) endTerm() {
	t := p.term.Swap(nil)
	if t == nil {
		return
	}
	t.over.Store(true)
	left := 0
	for _, q := range p.plan.Load().queues {
		for _, d := range q.forsake() { // what is pushed meanwhile is left when it is taken out
			d.event.leave(1)
			left++
		}
	}
	p.log.Info().Int64(keyEpoch, t.epoch).Int(keyCount, left).Msg("term ended: another daemon leads, or may")
}

// leaves reports whether a delivery that was taken out is another daemon's by now, and leaves it to that one then.
func (p *pipeline) leaves(q *queue, d *delivery) bool {
	if d.event == nil || p.goesOn(d.event.term) {
		return false
	}
	q.finish(d)
	switch {
	case !d.recorded():
		d.event.leave(1)
		p.advance(q, d)
	case d.Key != "": // it is owed, and comes due at the end of its lease
		p.giveBack(q, d)
	}
	return true
}

package cdc

import (
	"errors"
	"time"
)

// slotPatience is how long the creation of the slot waits for each open transaction. Every try begins anew, with those that
// are open then: where there is always one that has still longer to go, only more patience helps.
type slotPatience struct{ limit time.Duration }

// maxPatience is how many times as long as Options.LockTimeout a try waits at most.
const maxPatience = 32

// errSlotBlocked is in the error of a try that has waited in vain.
var errSlotBlocked = errors.New("it waited")

// apply gives the options for the next try.
func (p *slotPatience) apply(o Options) Options {
	o.LockTimeout = max(o.LockTimeout, p.limit)
	return o
}

// note takes what came of it: a blocked slot doubles the patience.
func (p *slotPatience) note(err error, o *Options) {
	if errors.Is(err, errSlotBlocked) {
		p.limit = min(2*max(o.LockTimeout, p.limit), maxPatience*o.LockTimeout)
	}
}

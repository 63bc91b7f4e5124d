package ledger

import (
	"math/rand/v2"
	"time"
)

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 3 * time.Second // an outage may be long, and its end is to be noticed soon
)

// backoff is the wait after the given try, from 0: doubling up to a cap, and half of it random, so that the daemons of
// one database don't come back all at once.
func backoff(try int) time.Duration {
	d := backoffMin << min(try, 16)
	d = min(d, backoffMax)
	return d/2 + rand.N(d/2)
}

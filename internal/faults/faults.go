//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"syscall"
	"time"
)

// fault is one thing that goes wrong.
type fault struct {
	name string
	// lasts bounds the time between inject and heal; 0: it is over at once.
	lasts time.Duration
	// skews says that leases end at other times than they should while it lasts.
	skews bool
	// inject begins it. heal, which may be nil, ends it; it is called whatever has happened meanwhile.
	inject func(ctx context.Context, g *ground, random *rand.Rand) (heal func(context.Context) error, err error)
}

// hand is one of the goroutines that inject faults. Those of one hand come one after the other.
type hand struct {
	name   string
	faults []fault
	pause  time.Duration // between two faults, at most, stretched as the faults are
}

// hands are the three of them.
func hands() []hand {
	return []hand{
		// A process that lives for less than ParkAfter gets nowhere while an endpoint hangs.
		{"process", processFaults, 4 * time.Second},
		{"host", hostFaults, 2500 * time.Millisecond},
		{"endpoint", endpointFaults(), 800 * time.Millisecond},
	}
}

// processFaults happen to walpost itself. Being killed is the most likely one.
var processFaults = []fault{
	killed, killed, killed,
	{name: "SIGTERM", inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		ctx, cancel := context.WithTimeout(ctx, drainPatience)
		defer cancel()
		n, err := g.runner.drain(ctx)
		if err == nil && n != nil && n.code != 0 {
			// While it is starting, it has nothing to drain, and may say that it was interrupted.
			select {
			case <-n.ready:
				err = fmt.Errorf("walpost %d ended with status %d after SIGTERM:\n%s", n.number, n.code, n.log)
			default:
			}
		}
		return nil, errors.Join(err, g.runner.start())
	}},
	{name: "SIGSTOP", lasts: 3 * time.Second, inject: func(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		n := g.runner.current(false)
		if n == nil {
			return nil, nil
		}
		n.signal(syscall.SIGSTOP)
		return func(context.Context) error { n.signal(syscall.SIGCONT); return nil }, nil
	}},
}

// drainPatience is more than attempts (12 s) and the flush (5 s, and 5 s for the last checkpoint) may take.
const drainPatience = 40 * time.Second

var killed = fault{name: "kill -9", inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	g.runner.kill()
	if random.IntN(3) == 0 {
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
	}
	return nil, g.runner.start()
}}

// endpointFaults are the misbehaviours of one endpoint at a time.
func endpointFaults() (list []fault) {
	for _, b := range misbehaviours {
		list = append(list, fault{
			name: "endpoint: " + string(b), lasts: 2 * time.Second,
			inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
				w := webhooks[random.IntN(len(webhooks))].name
				g.receiver.behave(w, b)
				return func(ctx context.Context) error {
					g.receiver.behave(w, healthy)
					if b != gone {
						return nil
					}
					// It may be that the ledger can't be written just now, or that the 410 isn't there yet: the end of
					// the run enables what is left.
					ctx, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					_, _ = g.ledger.Enable(ctx, w, true)
					return nil
				}, nil
			},
		})
	}
	return list
}

// play injects a hand's faults until ctx ends.
func (g *ground) play(ctx context.Context, h hand, seed uint64, only *regexp.Regexp) {
	random := rand.New(rand.NewPCG(seed, 2))
	var deck []fault
	for _, f := range h.faults {
		if only.MatchString(f.name) {
			deck = append(deck, f)
		}
	}
	if len(deck) == 0 {
		return
	}
	for {
		random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, f := range deck {
			if !wait(ctx, time.Duration(float64(h.pause)*g.stretch*random.Float64())) {
				return
			}
			g.strike(ctx, f, random)
		}
	}
}

// strike injects one fault and heals it.
func (g *ground) strike(ctx context.Context, f fault, random *rand.Rand) {
	s := g.journal.begin(f)
	defer g.journal.end(s)
	heal, err := f.inject(context.WithoutCancel(ctx), g, random)
	if err != nil {
		g.problem("inject %s: %v", f.name, err)
	}
	if f.lasts > 0 {
		wait(ctx, g.spellOf(f, random))
	}
	if heal == nil {
		return
	}
	healing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := heal(healing); err != nil {
		g.problem("heal %s: %v", f.name, err)
	}
}

// longSpells is how often a fault of a long run lasts ten times as long: longer than leases, timeouts and keepalives do.
const longSpells = 15

// spellOf is how long a fault is to last.
func (g *ground) spellOf(f fault, random *rand.Rand) time.Duration {
	longest := float64(f.lasts) * g.stretch
	if g.stretch >= 1 && random.IntN(longSpells) == 0 {
		longest *= 10
	}
	return time.Duration(longest * (0.25 + 0.75*random.Float64()))
}

// wait waits, and reports false if ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

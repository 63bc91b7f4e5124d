//go:build unix

package faults

import (
	"context"
	"math/rand/v2"
	"time"
)

// fault is one thing that goes wrong.
type fault struct {
	name string
	// lasts bounds the time between inject and heal; 0: it is over at once.
	lasts time.Duration
	// skews says that leases end at other times than they should while it lasts.
	skews bool
	// loses says that no stream ever brings what is committed while it lasts: rows that are deleted at once are nowhere then.
	loses bool
	// rereads says that the table is read by blocks afterwards.
	rereads bool
	// inject begins it. heal, which may be nil, ends it; it is called whatever has happened meanwhile.
	inject func(ctx context.Context, g *ground, random *rand.Rand) (heal func(context.Context) error, err error)
}

// hand is one of the goroutines that inject faults. Those of one hand come one after the other.
type hand struct {
	name   string
	faults []fault
	pause  time.Duration // between two faults, at most, stretched as the faults are
}

// deck is a hand's faults in an order that the seed decides, shuffled anew whenever it is through.
type deck struct {
	faults  []fault
	left    []int
	pause   time.Duration
	stretch float64
	random  *rand.Rand
}

// strike is a fault as it is played. All of it follows from the seed.
type strike struct {
	fault
	pause, spell time.Duration
	random       *rand.Rand
}

// deck gives the cards of a plan's hand.
func (h *hand) deck(p plan, number int) *deck {
	d := &deck{pause: h.pause, stretch: p.stretch, random: rand.New(rand.NewPCG(p.seed, 1<<32+uint64(number)))}
	for _, f := range h.faults {
		if p.only.MatchString(f.name) {
			d.faults = append(d.faults, f)
		}
	}
	return d
}

// next takes a card. It draws as often whatever comes of it, so that the same seed gives the same schedule.
func (d *deck) next() strike {
	if len(d.left) == 0 {
		d.left = d.random.Perm(len(d.faults))
	}
	f := d.faults[d.left[0]]
	d.left = d.left[1:]
	s := strike{fault: f, pause: time.Duration(float64(d.pause) * d.stretch * d.random.Float64())}
	long := d.random.IntN(longSpells) == 0 && d.stretch >= 1
	s.spell = time.Duration(float64(f.lasts) * d.stretch * (0.25 + 0.75*d.random.Float64()))
	if long {
		s.spell *= 10
	}
	s.random = rand.New(rand.NewPCG(d.random.Uint64(), 3))
	return s
}

// longSpells is how often a fault of a long run lasts ten times as long: longer than leases, timeouts and keepalives do.
const longSpells = 15

// play injects a deck's faults until ctx ends.
func (g *ground) play(ctx context.Context, d *deck) {
	if len(d.faults) == 0 {
		return
	}
	for {
		s := d.next()
		if !wait(ctx, s.pause) {
			return
		}
		g.strike(ctx, s)
	}
}

// strike injects one fault and heals it.
func (g *ground) strike(ctx context.Context, s strike) {
	spell := g.journal.begin(s.fault)
	defer g.journal.end(spell)
	injecting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	heal, err := s.inject(injecting, g, s.random)
	if err != nil {
		g.problem("inject %s: %v", s.name, err)
	}
	if s.spell > 0 {
		wait(ctx, s.spell)
	}
	if heal == nil {
		return
	}
	healing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := heal(healing); err != nil {
		g.problem("heal %s: %v", s.name, err)
	}
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

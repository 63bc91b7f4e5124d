package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// Role is what a daemon does among those that share its slot. All of them work off what the ledger has due.
type Role string

const (
	// Joining daemons have no session among the others yet, or have lost it.
	Joining Role = "joining"
	// Standby daemons wait for the leader's end.
	Standby Role = "standby"
	// Leader is the daemon that reads the slot, or is about to.
	Leader Role = "leader"
)

const (
	// beatEvery is how often the server hears of a leader, and a standby asks for the lead: it bounds the time that passes
	// unused when a leader has ended.
	beatEvery = 500 * time.Millisecond
	// rejoinPause is the wait between two tries to join.
	rejoinPause = 500 * time.Millisecond
)

// leadership decides whether this daemon leads: as long as it holds the lock that its session has on the server. A session
// that breaks doesn't end the lead by itself: it goes on if nobody else has the lock when we are back. Until then the epoch
// keeps what we record apart from what another leader does.
type leadership struct {
	*pipeline
	join  func(context.Context) (*ledger.Member, error)
	lease time.Duration
	state trouble
	// rejoined is called when a session was lost while we led, and nobody else has the lead.
	rejoined func()
	// again, of capacity 1, ends the pause between two beats.
	again chan struct{}

	mu      sync.Mutex
	role    Role
	since   time.Time // of role, by our clock: for people
	leader  string    // whom we stand by for; "" is unknown
	leading context.Context
	stop    context.CancelFunc
	won     chan struct{} // closed when leading begins
	member  *ledger.Member
	led     *ledger.Member // the session by which we lead, or led last
	heard   chan struct{}  // closed when it is known again whether we lead
	// known is when that was, as elapsed.
	known atomic.Int64
	// began is when we did, by the monotonic clock, and beganAt by the other one.
	began, beganAt time.Time
	// unbind lets go of the context that lead gave last. lead alone uses it.
	unbind func() bool
}

func newLeadership(p *pipeline, lease time.Duration, join func(context.Context) (*ledger.Member, error)) *leadership {
	return &leadership{
		pipeline: p, lease: lease, join: join, state: trouble{log: p.log, what: "join the daemons of the slot"},
		again: make(chan struct{}, 1), role: Joining, since: time.Now(), won: make(chan struct{}),
		heard: make(chan struct{}), began: time.Now(), beganAt: time.Now().Round(0),
		unbind: func() bool { return false }, rejoined: func() {},
	}
}

// run takes part until ctx ends; then another daemon may lead at once.
func (l *leadership) run(ctx context.Context) error {
	for {
		joining, cancel := context.WithTimeout(ctx, l.lease)
		member, err := l.join(joining)
		cancel()
		joined, since := err == nil, time.Now()
		if joined {
			err = l.takePart(ctx, member)
		}
		if ctx.Err() != nil {
			return nil
		}
		l.state.note(err)
		switch {
		case !joined:
			l.settle(l.elapsed()) // that the server can't be reached is all that can be known
		case time.Since(since) > rejoinPause:
			continue // a session that has broken may come back before anybody else leads; one that broke at once does so again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rejoinPause):
		}
	}
}

// takePart is one session from joining to its end.
func (l *leadership) takePart(ctx context.Context, member *ledger.Member) error {
	l.setMember(member)
	defer func() { l.setMember(nil); member.Leave() }()
	watch := lookout{}
	for {
		asked := l.elapsed() // an answer may have waited for us
		if err := l.turn(ctx, member, &watch); err != nil {
			return err
		}
		l.settle(asked)
		l.state.note(nil)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.again:
		case <-time.After(beatEvery):
		}
	}
}

// turn is one beat and what follows from it. A server that doesn't answer for as long as the lease is one that we are
// cut off from.
func (l *leadership) turn(ctx context.Context, member *ledger.Member, watch *lookout) error {
	ctx, cancel := context.WithTimeout(ctx, l.lease)
	defer cancel()
	leads, err := member.Beat(ctx)
	if err != nil {
		return err
	}
	if leads {
		l.win(member)
		return nil
	}
	l.lose()
	leader, err := member.Leader(ctx)
	if err != nil {
		return err
	}
	l.standBy(leader)
	if !watch.expired(member, leader) {
		return nil
	}
	ended, err := member.Oust(ctx, leader)
	if err == nil && ended > 0 {
		l.log.Warn().Str(keyLeader, leader.Name).Dur(keySilent, leader.Silent()).Int(keyCount, ended).
			Msg("the leader is silent: its sessions were ended")
	}
	return err
}

// settle ends all doubt for the time of a lease from at on.
func (l *leadership) settle(at time.Duration) {
	l.known.Store(int64(at))
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.heard)
	l.heard = make(chan struct{})
}

// elapsed is the time since we began by the clock that has gone further: the monotonic one stands still while the machine
// sleeps, or is moved to another host. Where somebody sets the other one, we are in doubt until the next beat.
func (l *leadership) elapsed() time.Duration {
	now := time.Now()
	return max(now.Sub(l.began), now.Round(0).Sub(l.beganAt))
}

// goesOn reports whether a term does. A daemon that was frozen for longer than its lease would do much of what another
// does by now before it learns of that, so what isn't begun waits until that is known, or that it can't be.
func (l *leadership) goesOn(t *term) bool {
	for !t.over.Load() {
		if l.certain() {
			return true // nearly always, and without a lock: every event and every attempt asks
		}
		l.mu.Lock()
		heard := l.heard
		l.mu.Unlock()
		if l.certain() {
			return true // since a moment ago
		}
		select {
		case <-heard:
		case <-l.working.Done():
			return true
		}
	}
	return false
}

// certain reports whether it was known within the length of a lease whether we lead.
func (l *leadership) certain() bool {
	age := l.elapsed() - time.Duration(l.known.Load())
	return age > -time.Second && age <= l.lease // clocks are put right by less all the time
}

// lookout is a standby's view of the leader. A server that stood still makes everybody look silent, so a lease has expired
// when that was seen at two beats.
type lookout struct{ seen time.Time }

func (o *lookout) expired(member *ledger.Member, leader *ledger.Peer) bool {
	if leader == nil || !member.Expired(leader) {
		o.seen = time.Time{}
		return false
	}
	before := o.seen
	o.seen = leader.Seen
	return before.Equal(leader.Seen)
}

// win begins to lead, unless we do already. That we do by another session than before means that one was lost.
func (l *leadership) win(member *ledger.Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.led != member
	l.led = member
	if l.leading != nil {
		if lost {
			l.rejoined()
		}
		return
	}
	l.setRole(Leader, "")
	l.leading, l.stop = context.WithCancel(context.Background())
	close(l.won)
}

// lose ends the lead, if we had it.
func (l *leadership) lose() {
	l.mu.Lock()
	if l.leading != nil {
		l.stop()
		l.leading, l.won = nil, make(chan struct{})
	}
	l.mu.Unlock()
	l.endTerm()
}

// giveUp ends a term of which the ledger says that it is over. If the lock is still ours, the next one begins at once.
func (l *leadership) giveUp(t *term) {
	if l.term.Load() != t {
		return // it has ended already
	}
	l.lose()
	signal(l.again)
}

// standBy notes for whom we wait.
func (l *leadership) standBy(leader *ledger.Peer) {
	name := ""
	if leader != nil {
		name = leader.Name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.role == Standby && (name == "" || name == l.leader) {
		return
	}
	l.setRole(Standby, name)
	l.log.Info().Str(keyLeader, name).Msg("standing by")
}

// setRole is for who holds mu.
func (l *leadership) setRole(r Role, leader string) {
	if r != l.role {
		l.role, l.since = r, time.Now()
	}
	l.leader = leader
}

func (l *leadership) setMember(m *ledger.Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.member = m
	if m == nil && l.leading == nil {
		l.setRole(Joining, "")
	}
}

// lead implements cdc.Options.Lead. Whoever still reads the slot when we lead is cut off from it: it was killed without
// the server's knowing, or is about to learn that it doesn't lead.
func (l *leadership) lead(ctx context.Context) (context.Context, error) {
	l.unbind()
	leading, err := l.await(ctx)
	if err != nil {
		return nil, err
	}
	l.clearSlot(ctx)
	both, cancel := context.WithCancel(leading)
	l.unbind = context.AfterFunc(ctx, cancel)
	return both, nil
}

// leads waits until this daemon leads, for what one of them does for all, and reports false when ctx has ended.
func (l *leadership) leads(ctx context.Context) bool {
	_, err := l.await(ctx)
	return err == nil
}

// await waits for the lead, and gives the context that ends with it.
func (l *leadership) await(ctx context.Context) (context.Context, error) {
	for {
		l.mu.Lock()
		leading, won := l.leading, l.won
		l.mu.Unlock()
		if leading != nil {
			return leading, nil
		}
		select {
		case <-won:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// clearSlot makes room for us. If it can't, the server does when the other session's time is over.
func (l *leadership) clearSlot(ctx context.Context) {
	l.mu.Lock()
	member := l.member
	l.mu.Unlock()
	if member == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.lease)
	defer cancel()
	if ended, err := member.ClearSlot(ctx); err == nil && ended > 0 {
		l.log.Warn().Msg("the session of a walpost that doesn't lead any more was ended: it read the slot")
	}
}

// status says what we are.
func (l *leadership) status() LeadStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LeadStatus{Role: l.role, Since: l.since, Leader: l.leader}
	if t := l.term.Load(); t != nil {
		s.Epoch = t.epoch
	}
	return s
}

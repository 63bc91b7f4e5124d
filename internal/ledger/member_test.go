package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// join makes a member of a slot.
func (f *fixture) join(name string, lease time.Duration) *Member {
	f.t.Helper()
	m, err := Join(f.t.Context(), Membership{
		ConnString: f.db.URL, Slot: slot, Title: Title{Name: name, Version: "v1.2.3", Tag: "t-" + name}, Lease: lease,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(m.Leave)
	return m
}

// beats is one Beat that must go well.
func (f *fixture) beats(m *Member) (leads bool) {
	f.t.Helper()
	leads, err := m.Beat(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return leads
}

func (f *fixture) leader(m *Member) *Peer {
	f.t.Helper()
	leader, err := m.Leader(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return leader
}

func (f *fixture) peers() string {
	f.t.Helper()
	peers, err := f.Peers(f.t.Context(), slot)
	if err != nil {
		f.t.Fatal(err)
	}
	var list []string
	for _, p := range peers {
		if p.Since.IsZero() || p.Seen.IsZero() || p.Version != "v1.2.3" {
			f.t.Errorf("peer %+v lacks something", p)
		}
		list = append(list, fmt.Sprintf("%s %v", p.Name, p.Leads))
	}
	return strings.Join(list, ", ")
}

func TestOneMemberLeads(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	a := f.join("a", time.Hour)
	if leader := f.leader(a); leader != nil {
		t.Errorf("%s leads before anybody asked for it", leader.Name)
	}
	b := f.join("b", time.Hour)
	if !f.beats(b) || f.beats(a) || !f.beats(b) {
		t.Error("not the first to ask leads")
	}
	if got := f.peers(); got != "b true, a false" {
		t.Errorf("peers: %s", got)
	}
	if leader := f.leader(a); leader.Name != "b" || a.Expired(leader) {
		t.Errorf("leader %+v, expired %v", leader, a.Expired(leader))
	}
	if _, err := a.ClearSlot(t.Context()); err == nil {
		t.Error("who doesn't lead may clear the slot")
	}
	b.Leave()
	for !f.beats(a) { // the server needs a moment to end the session
		value[bool](f, "select pg_sleep(0.01) is null")
	}
	if got := f.peers(); got != "a true" {
		t.Errorf("peers: %s", got)
	}
	if n, err := a.ClearSlot(t.Context()); n != 0 || err != nil {
		t.Errorf("cleared %d, %v, where there is no slot", n, err)
	}
}

// A lease is the time since the server has heard of the leader; one that spoke meanwhile isn't ended.
func TestSilentLeaderIsOusted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	const lease = 300 * time.Millisecond
	a, b := f.join("a", lease), f.join("b", lease)
	f.beats(a)
	leader := f.leader(b)
	for !b.Expired(leader) {
		value[bool](f, "select pg_sleep(0.05) is null")
		f.beats(b)
		leader = f.leader(b)
	}
	f.beats(a)
	if n, err := b.Oust(t.Context(), leader); n != 0 || err != nil {
		t.Errorf("ended %d sessions, %v, of a leader that has spoken", n, err)
	}
	for leader = f.leader(b); !b.Expired(leader); leader = f.leader(b) {
		value[bool](f, "select pg_sleep(0.05) is null")
	}
	if n, err := b.Oust(t.Context(), leader); n != 1 || err != nil {
		t.Errorf("ended %d sessions, %v; want the leader's", n, err)
	}
	for !f.beats(b) {
		value[bool](f, "select pg_sleep(0.01) is null")
	}
	if _, err := a.Beat(t.Context()); err == nil {
		t.Error("the old leader still is one")
	}
}

// With the leader go its other sessions, which may hold locks, and nobody else's.
func TestOustEndsAllSessionsOfTheDaemon(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	a, b := f.join("a", time.Millisecond), f.join("b", time.Millisecond)
	f.beats(a)
	other := openFixture(t, f.db, Options{Application: a.options.Title.String()})
	if err := other.pool.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	leader := f.leader(b)
	for !b.Expired(leader) {
		leader = f.leader(b)
	}
	if n, err := b.Oust(t.Context(), leader); n != 2 || err != nil {
		t.Errorf("ended %d sessions, %v; want two", n, err)
	}
	if err := f.pool.Ping(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("a session of somebody else: %v", err)
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	for title, want := range map[Title]string{
		{Name: "web-1:4711", Version: "v0.4.0", Tag: "x1"}:         "walpost/v0.4.0 x1 web-1:4711",
		{Name: "höst 1", Version: "dev (dirty)", Tag: "x2"}:        "walpost/dev-(dirty) x2 h?st 1",
		{Name: strings.Repeat("n", 80), Version: "v1", Tag: "tag"}: "walpost/v1 tag " + strings.Repeat("n", 48),
	} {
		got := title.String()
		if got != want || len(got) > maxTitle {
			t.Errorf("%+v is %q, want %q", title, got, want)
		}
		if back := readTitle(got); back.String() != got || back.Tag != title.Tag {
			t.Errorf("%q is read as %+v", got, back)
		}
	}
	if got := readTitle("psql"); got != (Title{Name: "psql"}) {
		t.Errorf("another's application_name is read as %+v", got)
	}
}

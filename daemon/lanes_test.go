package daemon

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// lineModel is what a line with keys must do: per key, what waits in order, and what is being attempted.
type lineModel struct {
	line
	now     time.Time
	waiting map[string][]*delivery
	running map[string][]*delivery
	loose   int // without a key
}

func (m *lineModel) make(key string, recorded bool) *delivery {
	m.now = m.now.Add(time.Millisecond)
	d := &delivery{Delivery: route.Delivery{Key: key, Row: &outbox.Row{}}, since: m.now}
	if recorded {
		d.fence = 1
	}
	return d
}

// check compares the counts with the model's, and looks for one of a key that could go beside another.
func (m *lineModel) check(t *rapid.T) {
	heads, eligible, unknown := m.loose, m.loose, 0
	for key, waiting := range m.waiting {
		for _, d := range waiting {
			if !d.recorded() {
				unknown++
			}
		}
		if len(m.running[key]) == 0 && len(waiting) > 0 {
			heads++
			eligible += len(waiting)
		}
		if (len(waiting)+len(m.running[key]) > 0) != (m.lanes.of[key] != nil) {
			t.Fatalf("key %s has %d waiting, %d running, a lane: %v", key, len(waiting), len(m.running[key]), m.lanes.of[key] != nil)
		}
	}
	if m.heads() != heads || m.len() != eligible || m.unknown()-m.loose != unknown {
		t.Fatalf("heads %d, can go %d, unknown %d; want %d, %d, %d", m.heads(), m.len(), m.unknown()-m.loose, heads, eligible, unknown)
	}
}

func (m *lineModel) take(t *rapid.T, d *delivery) {
	if d.Key == "" {
		m.loose--
		return
	}
	if m.waiting[d.Key][0] != d {
		t.Fatalf("key %s: another than the first goes", d.Key)
	}
	m.waiting[d.Key] = m.waiting[d.Key][1:]
	m.running[d.Key] = append(m.running[d.Key], d)
}

func same(a, b []*delivery) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// unrecorded is the end of what waits that the ledger doesn't know.
func unrecorded(waiting []*delivery) []*delivery {
	for i, d := range waiting {
		if !d.recorded() {
			return waiting[i:]
		}
	}
	return nil
}

func TestLineKeepsTheOrderOfKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &lineModel{now: time.Now(), waiting: map[string][]*delivery{}, running: map[string][]*delivery{}}
		key := rapid.Map(rapid.IntRange(0, 3), func(n int) string { return "k" + strconv.Itoa(n) })
		some := func(of map[string][]*delivery) (string, bool) {
			k := key.Draw(t, "key")
			return k, len(of[k]) > 0
		}
		t.Repeat(map[string]func(*rapid.T){
			"": m.check,
			"push": func(t *rapid.T) {
				d := m.make(key.Draw(t, "key"), false)
				m.push(d)
				m.waiting[d.Key] = append(m.waiting[d.Key], d)
			},
			"push a claimed run": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if len(unrecorded(m.waiting[k])) > 0 {
					return // the ledger is ahead of memory
				}
				for range rapid.IntRange(1, 3).Draw(t, "run") {
					d := m.make(k, true)
					m.push(d)
					m.waiting[k] = append(m.waiting[k], d)
				}
			},
			"push without a key": func(*rapid.T) { m.push(m.make("", false)); m.loose++ },
			"take": func(t *rapid.T) {
				if d := m.pop(); d != nil {
					if d.Key != "" && len(m.running[d.Key]) > 0 {
						t.Fatalf("key %s: one goes beside another", d.Key)
					}
					m.take(t, d)
				}
			},
			"take into the batch": func(t *rapid.T) {
				if k, ok := some(m.running); ok {
					d := m.lanes.follower(k)
					if (d == nil) != (len(m.waiting[k]) == 0) {
						t.Fatalf("key %s: follower %v of %d", k, d, len(m.waiting[k]))
					}
					if d != nil {
						m.take(t, d)
					}
				}
			},
			"end": func(t *rapid.T) {
				if k, ok := some(m.running); ok {
					m.ended(m.running[k][0])
					m.running[k] = m.running[k][1:]
				}
			},
			"stop": func(t *rapid.T) {
				if k, ok := some(m.running); ok {
					if behind := m.lanes.stop(m.running[k][0]); !same(behind, m.waiting[k]) {
						t.Fatalf("key %s: %d leave, want all %d, in order", k, len(behind), len(m.waiting[k]))
					}
					m.waiting[k], m.running[k] = nil, m.running[k][1:]
				}
			},
			"extract": func(t *rapid.T) {
				k := key.Draw(t, "key")
				want := unrecorded(m.waiting[k])
				if got := m.extract(k); !same(got, want) {
					t.Fatalf("key %s: %d leave, want %d", k, len(got), len(want))
				}
				m.waiting[k] = m.waiting[k][:len(m.waiting[k])-len(want)]
			},
		})
	})
}

func TestHeldKeys(t *testing.T) {
	t.Parallel()
	var h heldKeys
	h.forget()
	now := time.Now()
	if !h.has("a") {
		t.Error("before the keys are read, each may be held")
	}
	if !h.unread(now) || h.unread(now) {
		t.Error("the keys are not to be read once")
	}
	h.writing("recorded meanwhile")
	h.written("recorded meanwhile")
	h.learn(now.Add(-1), []string{"other"}, true) // by who began before they were forgotten
	h.learn(now, []string{"a"}, true)
	if !h.has("a") || !h.has("recorded meanwhile") || h.has("b") || h.has("other") {
		t.Errorf("held are %v", h.of)
	}
	tick := h.tick
	h.writing("a")
	h.free("a", tick)
	h.written("a")
	h.free("a", tick)
	if !h.has("a") {
		t.Error("a key is let go by who asked the ledger before its last entry arrived")
	}
	h.free("a", h.tick)
	if h.has("a") {
		t.Error("a key is held of which nothing is owed")
	}
	for n := 0; !h.wide; n++ {
		h.writing(strconv.Itoa(n))
		h.written(strconv.Itoa(n))
	}
	if h.bytes > maxHeldBytes || len(h.of) != 0 || !h.has("any") {
		t.Errorf("%d bytes for %d keys, though there are too many", h.bytes, len(h.of))
	}
}

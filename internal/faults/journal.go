//go:build unix

package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// spell is the time during which one fault was in force.
type spell struct {
	fault    string
	from, to time.Time // to is zero while it lasts
	// skews says that it makes walpost's leases end early or late.
	skews bool
	// loses says that it takes something from the stream.
	loses bool
	// rereads says that the table is read by blocks afterwards.
	rereads bool
}

// overlaps reports whether the spell and a span of time have a moment in common.
func (s *spell) overlaps(from, to time.Time) bool {
	return s.from.Before(to) && (s.to.IsZero() || s.to.After(from))
}

// journal keeps which faults were in force when.
type journal struct {
	mu     sync.Mutex
	spells []*spell
}

func (j *journal) begin(f fault) *spell {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := &spell{fault: f.name, from: time.Now(), skews: f.skews, loses: f.loses, rereads: f.rereads}
	j.spells = append(j.spells, s)
	return s
}

func (j *journal) end(s *spell) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.to = time.Now()
}

// during gives the spells that overlap a span of time.
func (j *journal) during(from, to time.Time) []*spell {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []*spell
	for _, s := range j.spells {
		if s.overlaps(from, to) {
			found = append(found, s)
		}
	}
	return found
}

// all gives the spells in the order of their beginning.
func (j *journal) all() []*spell {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.spells)
}

// timeline tells all of them.
func (j *journal) timeline() string {
	var s strings.Builder
	for _, spell := range j.all() {
		fmt.Fprintf(&s, "%s – %s %s\n", clock(spell.from), clock(spell.to), spell.fault)
	}
	return s.String()
}

// counts are how often each fault was injected.
func (j *journal) counts() tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := tally{}
	for _, s := range j.spells {
		t[s.fault]++
	}
	return t
}

// tally counts things by name.
type tally map[string]int

func (t tally) total() (n int) {
	for _, count := range t {
		n += count
	}
	return n
}

// String lists the counts by name: "3 drained, 5 kill -9".
func (t tally) String() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		list = append(list, fmt.Sprintf("%d %s", t[name], name))
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

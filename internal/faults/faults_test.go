//go:build unix

package faults

import (
	"regexp"
	"slices"
	"testing"
	"time"
)

// TestScheduleFollowsFromTheSeed: what is played, when and for how long is the same again under the same seed.
func TestScheduleFollowsFromTheSeed(t *testing.T) {
	t.Parallel()
	type card struct {
		name         string
		pause, spell time.Duration
		random       uint64
	}
	draw := func(seed uint64) (cards []card) {
		for i, h := range streaming.hands() {
			d := h.deck(plan{seed: seed, stretch: 1, only: regexp.MustCompile(".")}, i)
			for range 3 * len(h.faults) {
				s := d.next()
				cards = append(cards, card{s.name, s.pause, s.spell, s.random.Uint64()})
			}
		}
		return cards
	}
	first := draw(7)
	if !slices.Equal(first, draw(7)) {
		t.Error("two schedules under one seed")
	}
	if slices.Equal(first, draw(8)) {
		t.Error("one schedule under two seeds")
	}
	met := map[string]int{}
	for _, c := range first {
		met[c.name]++
	}
	for _, h := range streaming.hands() {
		for _, f := range h.faults {
			if met[f.name] < 3 {
				t.Errorf("%s is played %d times in three rounds", f.name, met[f.name])
			}
		}
	}
}

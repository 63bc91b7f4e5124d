package daemon

import (
	"testing"
	"time"
)

// An answer of the ledger that was asked for before the keys were forgotten is of another daemon's time: it lets no key go.
func TestAnOldAnswerFreesNoKey(t *testing.T) {
	t.Parallel()
	var h heldKeys
	h.wide = true
	now := time.Now()
	if !h.unread(now) {
		t.Fatal("keys that were never read are not unread")
	}
	old := h.tick // what the ledger is asked at that tick is answered later
	h.forget()
	if !h.unread(now) {
		t.Fatal("forgotten keys are not unread")
	}
	h.learn(now, []string{"b"}, true)
	h.free("b", old)
	if !h.has("b") {
		t.Error("an old answer lets b go")
	}
	h.free("b", h.tick)
	if h.has("b") {
		t.Error("a new answer doesn't let b go")
	}
}

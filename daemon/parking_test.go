package daemon

import (
	"testing"
	"time"
)

func TestParkingIsSpacedByItsCost(t *testing.T) {
	t.Parallel()
	var p parking
	now := time.Now()
	off, later := now, now.Add(time.Minute)
	if !p.due("crm", off, now) {
		t.Error("not due when the webhook is disabled")
	}
	p.looked("crm", off, time.Second, now)
	if p.due("crm", off, now.Add(99*time.Second)) {
		t.Error("due before a hundred times what it took")
	}
	if !p.due("crm", off, now.Add(100*time.Second)) {
		t.Error("not due after that")
	}
	if !p.due("crm", later, later) {
		t.Error("not due when the webhook is disabled again")
	}
	if !p.due("hub", off, now) {
		t.Error("not due for another webhook")
	}
}

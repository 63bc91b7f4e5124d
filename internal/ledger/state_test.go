package ledger

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// put makes the delivery of an event in the given state, claimed under fence 1 by somebody whose attempt 1 is running.
func (f *fixture) put(n int, s State) (id string) {
	f.t.Helper()
	e := event(n, 50)
	d := delivery(e, "crm", s)
	d.Fence = 1
	if s != Unrecorded {
		f.mustRecord(owed(e, d))
	}
	return d.ID
}

// tell reports the outcome t of a running attempt, as a daemon does that last saw the delivery pending or unrecorded.
func (f *fixture) tell(n int, s State, t Transition) error {
	e := event(n, 50)
	verdicts := map[Transition]string{
		Deliver: "delivered", Retry: "retry", Fail: "rejected", Park: "gone", Cancel: "rejected", Interrupt: VerdictInterrupted,
	}
	seen, fence := Pending, int64(1)
	if s == Unrecorded {
		seen, fence = Unrecorded, 0
	}
	result, _ := seen.Next(t)
	return f.record(attempted(outcome(e, "crm", 1, fence, result, verdicts[t])))[0]
}

// state reads the delivery's state: Unrecorded if it isn't there.
func (f *fixture) state(id string) State {
	f.t.Helper()
	known, err := f.Known(f.t.Context(), []string{id})
	if err != nil {
		f.t.Fatal(err)
	}
	return known[id]
}

// Every transition from every state, done by the statements, ends where the switch says.
func TestStatementsFollowStateMachine(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Record: RecordAll})
	n := 0
	for _, from := range append([]State{Unrecorded}, States()...) {
		for _, transition := range Transitions() {
			n++
			id := f.put(n, from)
			want, possible := from.Next(transition)
			var err error
			switch transition {
			case Owe:
				e := event(n, 50)
				f.mustRecord(owed(e, delivery(e, "crm", Pending)))
			case Release:
				_, err = f.Enable(t.Context(), "crm", true)
			case Replay:
				_, err = f.Replay(t.Context(), Filter{IDs: []string{id}})
				if possible == errors.Is(err, ErrNoMatch) {
					t.Errorf("%s of a delivery that is %q: %v", transition, from, err)
				}
				err = nil
			default:
				err = f.tell(n, from, transition)
				if possible == errors.Is(err, ErrFenced) {
					t.Errorf("%s of a delivery that is %q: %v", transition, from, err)
				}
				if !possible {
					err = nil
				}
			}
			if err != nil {
				t.Errorf("%s of a delivery that is %q: %v", transition, from, err)
			}
			if got := f.state(id); got != want {
				t.Errorf("%s of a delivery that is %q: it is %q, want %q", transition, from, got, want)
			}
		}
	}
}

func TestParkWaitingFollowsStateMachine(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ids := make(map[State]string)
	for i, s := range States() {
		ids[s] = f.put(i, s)
	}
	if err := f.Disable(t.Context(), "crm", Reason{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ParkWaiting(t.Context(), "crm"); err != nil {
		t.Fatal(err)
	}
	for s, id := range ids {
		want, _ := s.Next(Park)
		if got := f.state(id); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}

// The drawing in docs has exactly the arrows of the switch.
func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, arrow := range regexp.MustCompile(`(?m)^ +(\S+) --> (\S+): (.+)$`).FindAllStringSubmatch(string(doc), -1) {
		for transition := range strings.SplitSeq(arrow[3], ", ") {
			drawn = append(drawn, arrow[1]+" "+transition+" "+arrow[2])
		}
	}
	var real []string
	for _, from := range append([]State{Unrecorded}, States()...) {
		for _, transition := range Transitions() {
			if to, ok := from.Next(transition); ok {
				name := string(from)
				if from == Unrecorded {
					name = "[*]"
				}
				real = append(real, name+" "+string(transition)+" "+string(to))
			}
		}
	}
	slices.Sort(drawn)
	slices.Sort(real)
	if !slices.Equal(drawn, real) {
		t.Errorf("drawn:\n%s\nreal:\n%s", strings.Join(drawn, "\n"), strings.Join(real, "\n"))
	}
}

func TestReplayStartsScheduleAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 50)
	f.mustRecord(attempted(outcome(e, "crm", 1, 0, Retrying, "retry")))
	fence := f.claim("crm", 1)[0].Fence
	last := outcome(e, "crm", 2, fence, Failed, "retry")
	f.mustRecord(attempted(last))
	f.shift(time.Hour)
	if n, err := f.Replay(t.Context(), Filter{Webhook: "crm"}); err != nil || n != 1 {
		t.Fatalf("replayed %d, %v", n, err)
	}
	// The outcome before, told once more, must not end the new schedule.
	if err := f.record(attempted(last))[0]; !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	claimed := f.claim("crm", 1)
	if len(claimed) != 1 || claimed[0].Attempt != 1 || claimed[0].ID != last.ID {
		t.Fatalf("claimed %+v, want attempt 1 of the same delivery", claimed)
	}
	f.mustRecord(attempted(outcome(e, "crm", 1, claimed[0].Fence, Delivered, "delivered")))
	d := f.view(last.ID)
	if d.State != Delivered || d.Attempts != 1 || len(d.Log) != 3 {
		t.Errorf("delivery is %+v, want it delivered, and all attempts logged", d)
	}
}

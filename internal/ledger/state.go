package ledger

// State is where a delivery stands. docs/states.md draws it.
type State string

const (
	// Unrecorded is a delivery that the ledger knows nothing of: the WAL still holds its event.
	Unrecorded State = ""
	// Pending is owed, and has no attempt that counts.
	Pending State = "pending"
	// Retrying is owed, and was attempted.
	Retrying State = "retrying"
	// Parked waits for its webhook to be enabled.
	Parked State = "parked"
	// Delivered is final: the endpoint has it.
	Delivered State = "delivered"
	// Failed is final: the schedule is over, or the request could not be made. It can be replayed.
	Failed State = "failed"
	// Cancelled is final: it was given up without an attempt. It can be replayed.
	Cancelled State = "cancelled"
)

// States lists the recorded states.
func States() []State { return []State{Pending, Retrying, Parked, Delivered, Failed, Cancelled} }

// Final reports whether nothing more happens to the delivery unless it is replayed.
func (s State) Final() bool { return s == Delivered || s == Failed || s == Cancelled }

// Owed reports whether the delivery has a due time.
func (s State) Owed() bool { return s == Pending || s == Retrying }

// Transition is what happens to a delivery.
type Transition string

const (
	// Owe records a delivery without an attempt: late, overflowing its queue, or cut off at shutdown.
	Owe Transition = "owe"
	// Deliver is an attempt that succeeded.
	Deliver Transition = "deliver"
	// Retry is an attempt that failed and is to be repeated.
	Retry Transition = "retry"
	// Fail is an attempt that was the last, or that could not be made.
	Fail Transition = "fail"
	// Interrupt is an attempt that our own shutdown cut off; it doesn't count.
	Interrupt Transition = "interrupt"
	// Park is the webhook being disabled, by 410 or by hand.
	Park Transition = "park"
	// Release is the webhook being enabled with replay.
	Release Transition = "release"
	// Replay is a person asking for a new schedule.
	Replay Transition = "replay"
	// Cancel gives the delivery up.
	Cancel Transition = "cancel"
)

// Transitions lists all of them.
func Transitions() []Transition {
	return []Transition{Owe, Deliver, Retry, Fail, Interrupt, Park, Release, Replay, Cancel}
}

// Next is the state after t, and whether t can happen in s. An attempt may still be running when its delivery is parked:
// its success or last failure counts, anything else leaves the delivery parked.
func (s State) Next(t Transition) (State, bool) {
	switch t {
	case Owe:
		if s == Unrecorded {
			return Pending, true
		}
	case Deliver:
		if !s.Final() {
			return Delivered, true
		}
	case Fail:
		if !s.Final() {
			return Failed, true
		}
	case Cancel:
		if !s.Final() {
			return Cancelled, true
		}
	case Park:
		if !s.Final() {
			return Parked, true
		}
	case Retry:
		switch s {
		case Unrecorded, Pending, Retrying:
			return Retrying, true
		case Parked:
			return Parked, true
		}
	case Interrupt:
		switch s {
		case Unrecorded:
			return Pending, true
		case Pending, Retrying, Parked:
			return s, true
		}
	case Release:
		if s == Parked {
			return Pending, true
		}
	case Replay:
		if s == Parked || s.Final() {
			return Pending, true
		}
	}
	return s, false
}

package cdc

import "errors"

var (
	// ErrSlotLost says that the slot no longer has what follows the checkpoint: it is missing, invalidated, or
	// its WAL is gone. Rows may have been missed; a new slot alone doesn't bring them back.
	ErrSlotLost = errors.New("replication slot lost")
	// ErrPublicationLost says that the publication is missing, or doesn't cover the table, although the stream
	// was read before.
	ErrPublicationLost = errors.New("publication lost")
	// ErrOtherSystem says that the server isn't the database cluster that the checkpoint was made on.
	ErrOtherSystem = errors.New("other database system")
	// ErrSlotActive says that another process reads the slot. It is retryable: a standby waits with it.
	ErrSlotActive = errors.New("replication slot is active")
	// errDeposed says that Options.Lead has taken the slot away.
	errDeposed = errors.New("another process leads")
	// ErrUndecodable says that the server sent something that this package doesn't understand. The slot is not
	// advanced past it.
	ErrUndecodable = errors.New("undecodable replication message")
)

// SetupError is a condition that waiting doesn't cure: somebody has to change the configuration or the
// server. It is never retryable.
type SetupError struct {
	Problem string // one line, what is wrong
	Fix     string // what to do, with the very SQL or setting
	Err     error  // the cause, or a sentinel of this package; may be nil

	keepsSlot bool // a loss of rows, after which the slot has all that follows its position
}

// Error returns the problem and its cause.
func (e *SetupError) Error() string {
	if e.Err == nil {
		return e.Problem
	}
	return e.Problem + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *SetupError) Unwrap() error { return e.Err }

// Retryable reports whether connecting again may cure err: everything but a SetupError and a message that
// can't be decoded.
func Retryable(err error) bool {
	var setup *SetupError
	return err != nil && !errors.As(err, &setup) && !errors.Is(err, ErrUndecodable)
}

package pgembed

// SetupError says why no throw-away Postgres can run on this machine and what
// to do about it. Commands show Problem after "Error:" and Fix after "Try:".
type SetupError struct {
	Problem string // one sentence, lower case, without a full stop
	Fix     string // an instruction, or "" when there is none
	Err     error  // the cause, or nil
}

// Error gives the problem and its cause.
func (e *SetupError) Error() string {
	if e.Err == nil {
		return e.Problem
	}
	return e.Problem + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *SetupError) Unwrap() error { return e.Err }

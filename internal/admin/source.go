package admin

import "time"

// Mode is how committed rows are found.
type Mode string

const (
	// Streaming reads them from the WAL, through the slot.
	Streaming Mode = "stream"
	// Polling reads them from the table.
	Polling Mode = "polling"
)

// Source is where the events come from, as the configuration says.
type Source struct {
	Slot  string // also the name of the checkpoint
	Mode  Mode   // empty: Streaming
	Table string // for people
	// Interval is how often the table is looked at, with Polling.
	Interval time.Duration
	// Messages is the prefix of the logical messages that are events, too; empty: none are.
	Messages string
}

// SourceReport is where the events come from.
type SourceReport struct {
	Mode            Mode    `json:"mode"`
	Table           string  `json:"table,omitempty"`
	IntervalSeconds float64 `json:"interval_seconds,omitempty"` // with polling
	Messages        string  `json:"messages,omitempty"`         // prefix; a lost slot takes them with it for good
}

func (s Source) report() SourceReport {
	r := SourceReport{Mode: s.Mode, Table: s.Table, Messages: s.Messages}
	if r.Mode == "" {
		r.Mode = Streaming
	}
	if r.Mode == Polling {
		r.IntervalSeconds = s.Interval.Seconds()
	}
	return r
}

// attendPolling says what somebody should look at where there is no slot.
func (r *Report) attendPolling(say func(format string, args ...any)) {
	for _, d := range r.Daemons {
		if d.Role == Leader {
			return
		}
	}
	say("no daemon polls the table %s", r.Source.Table)
}

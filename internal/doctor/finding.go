package doctor

import "slices"

// Severity says how much a finding matters.
type Severity string

const (
	// OK is as it should be.
	OK Severity = "ok"
	// Info is worth knowing, and no reason to change anything.
	Info Severity = "info"
	// Unknown could not be looked at.
	Unknown Severity = "unknown"
	// Warning will be in the way one day, or harms the host.
	Warning Severity = "warning"
	// Stops keeps walpost from running until it is put right. Events wait meanwhile.
	Stops Severity = "stops_walpost"
	// Loses means that events are lost as things stand.
	Loses Severity = "loses_events"
)

// severities are in rising order.
var severities = []Severity{OK, Info, Unknown, Warning, Stops, Loses}

// Failed reports whether a check with such a finding has failed.
func (s Severity) Failed() bool { return s == Stops || s == Loses }

// Finding is what a check has found.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Found    string   `json:"found"`         // with the value
	Why      string   `json:"why,omitempty"` // it matters, in a sentence
	Fix      string   `json:"fix,omitempty"` // SQL to copy, or the setting to change
}

// Report has every finding, in the order of the checks. Each check has one at least.
type Report struct {
	Findings []Finding
}

// Worst is the highest severity.
func (r Report) Worst() Severity {
	worst := OK
	for _, f := range r.Findings {
		if slices.Index(severities, f.Severity) > slices.Index(severities, worst) {
			worst = f.Severity
		}
	}
	return worst
}

// Count is how many findings have a severity.
func (r Report) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

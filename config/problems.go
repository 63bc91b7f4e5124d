package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// related is a diagnostic's Extra: a second place that belongs to the problem.
type related struct {
	note string // e.g. "first declared here"
	at   hcl.Range
}

// secretSubject is the Extra of a diagnostic about a secret. Its source is not shown,
// as the secret may be written out there.
type secretSubject struct{}

// readingCall is source in which a secret isn't written out, such as trimspace(file("x")).
var readingCall = regexp.MustCompile(`^(\w+\()*(env|file)\("[^"]*"\)+$`)

// failSecret reports an error about a secret.
func (l *loader) failSecret(at hcl.Range, summary, format string, args ...any) {
	d := problem(at, summary, format, args...)
	if file := l.config.Files[at.Filename]; file == nil || !readingCall.Match(at.SliceBytes(file.Bytes)) {
		d.Extra = secretSubject{}
	}
	l.add(d)
}

// add keeps diagnostics, without what HCL's own writer would show values from.
func (l *loader) add(diags ...*hcl.Diagnostic) {
	for _, d := range diags {
		clean := *d
		clean.Expression, clean.EvalContext = nil, nil
		l.diags = append(l.diags, &clean)
	}
}

// fail reports an error at a place.
func (l *loader) fail(at hcl.Range, summary, format string, args ...any) {
	l.add(problem(at, summary, format, args...))
}

// warn reports something that works, and yet can hardly be meant.
func (l *loader) warn(at hcl.Range, summary, format string, args ...any) {
	d := problem(at, summary, format, args...)
	d.Severity = hcl.DiagWarning
	l.add(d)
}

// missing reports something that isn't there, unless it may only be unreadable.
func (l *loader) missing(at hcl.Range, summary, format string, args ...any) {
	if !l.broken {
		l.fail(at, summary, format, args...)
	}
}

// duplicate reports a second declaration and shows the first.
func (l *loader) duplicate(again, first hcl.Range, what string) {
	d := problem(again, "Duplicate "+what,
		"It was first declared at %s. Remove or rename one of the two.", place(first))
	if place(again) != place(first) {
		d.Extra = related{note: "first declared here", at: first}
	}
	l.add(d)
}

// problem is an error at a place.
func problem(at hcl.Range, summary, format string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  summary,
		Detail:   fmt.Sprintf(format, args...),
		Subject:  &at,
	}
}

// place is a range's beginning as people write it, file:line.
func place(at hcl.Range) string { return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line) }

// finish returns all problems in the order of the source, and makes sure that no
// secret that was read is among their words.
func (l *loader) finish() hcl.Diagnostics {
	slices.SortStableFunc(l.diags, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return cmp.Compare(boolToInt(a.Subject != nil), boolToInt(b.Subject != nil))
		}
		return cmp.Or(
			cmp.Compare(a.Subject.Filename, b.Subject.Filename),
			cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte),
		)
	})
	l.diags = slices.CompactFunc(l.diags, func(a, b *hcl.Diagnostic) bool {
		return a.Subject != nil && b.Subject != nil && *a.Subject == *b.Subject && a.Summary == b.Summary && a.Detail == b.Detail
	})
	for _, d := range l.diags {
		d.Summary = l.reading.scrub(d.Summary)
		d.Detail = l.reading.scrub(d.Detail)
	}
	return l.diags
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// orList joins alternatives: `"a", "b" or "c"`.
func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = fmt.Sprintf("%q", word)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// andList joins words: a, b and c.
func andList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

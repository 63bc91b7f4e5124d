package vendormock

import (
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// lookahead is a regular expression that begins with a negative lookahead, ^(?!not)rest, which JSON Schema's dialect has
// and Go's has not.
type lookahead struct {
	text      string
	not, rest *regexp.Regexp
}

// MatchString implements jsonschema.Regexp.
func (l *lookahead) MatchString(s string) bool { return !l.not.MatchString(s) && l.rest.MatchString(s) }

// String implements jsonschema.Regexp.
func (l *lookahead) String() string { return l.text }

// compilePattern compiles a schema's pattern.
func compilePattern(text string) (jsonschema.Regexp, error) {
	after, found := strings.CutPrefix(text, "^(?!")
	not, rest, closed := strings.Cut(after, ")")
	if !found || !closed {
		return regexp.Compile(text)
	}
	l := &lookahead{text: text}
	var err error
	if l.not, err = regexp.Compile("^(?:" + not + ")"); err != nil {
		return nil, err
	}
	if l.rest, err = regexp.Compile("^" + rest); err != nil {
		return nil, err
	}
	return l, nil
}

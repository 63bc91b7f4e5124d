package config

import (
	"fmt"
	"io"
)

// hidden is what is shown in place of a secret.
const hidden = "(secret)"

// Secret is text that must not be shown. Every way to format or encode it gives
// "(secret)"; only Reveal gives the text.
type Secret string

// Reveal returns the text itself. Call it where the secret is used, not before.
func (s Secret) Reveal() string { return string(s) }

// String returns "(secret)".
func (s Secret) String() string { return hidden }

// GoString returns "(secret)".
func (s Secret) GoString() string { return hidden }

// Format writes "(secret)" for every verb, %x and %q included.
func (s Secret) Format(f fmt.State, _ rune) {
	// fmt offers no way to report a write error from here; it keeps the first itself.
	_, _ = io.WriteString(f, hidden)
}

// MarshalJSON returns the JSON string "(secret)".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalText returns "(secret)".
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

package ledger

import (
	"strings"
	"unicode/utf8"
)

// clean makes foreign bytes fit for a text column: valid UTF-8 without NUL, and at most limit bytes.
func clean(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

package outbox

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unstorable says why Postgres would refuse valid JSON text in a jsonb column, or "".
// (PostgreSQL documentation, section 8.14: \u0000 and unpaired surrogates.)
func unstorable(text string) string {
	if !utf8.ValidString(text) {
		return "is not valid UTF-8, which Postgres refuses"
	}
	for rest := text; ; {
		at := strings.IndexByte(rest, '\\')
		if at < 0 {
			return ""
		}
		unit, isUnit := unitEscape(rest[at:])
		if !isUnit {
			rest = rest[at+len(`\n`):]
			continue
		}
		rest = rest[at+len(`\u0000`):]
		if unit == 0 {
			return `contains a NUL character (\u0000), which Postgres cannot store in jsonb: remove it, or encode the value, e.g. as base64`
		}
		if !utf16.IsSurrogate(unit) {
			continue
		}
		low, isUnit := unitEscape(rest)
		if !isUnit || utf16.DecodeRune(unit, low) == utf8.RuneError {
			return `contains half of a UTF-16 surrogate pair (\ud800 to \udfff), which Postgres cannot store in jsonb: write the whole character`
		}
		rest = rest[len(`\u0000`):]
	}
}

// unitEscape reads a \uXXXX escape, a UTF-16 code unit, at the start of valid JSON text.
func unitEscape(text string) (unit rune, ok bool) {
	if !strings.HasPrefix(text, `\u`) {
		return 0, false
	}
	n, err := strconv.ParseUint(text[len(`\u`):len(`\u0000`)], 16, 16)
	return rune(n), err == nil
}

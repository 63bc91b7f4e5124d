package route

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
)

// The functions of this file find a member in JSON text without decoding the
// rest of it. They expect valid JSON, which [outbox.Parser] has made sure of, but
// must neither panic nor read past the end on any other bytes: then they find
// nothing.

// step is one step of a path into JSON text or a value: an attribute (.name), or
// an index ([0], ["name"]), which reaches into arrays too.
type step struct {
	key   string // normalized as cty normalizes strings (NFC)
	index int    // the position in an array; -1: reaches into no array
	plain bool   // key has no backslash: raw text equal to it means it
}

// attrStep is the step of `.name`.
func attrStep(name string) step {
	name = cty.NormalizeString(name)
	return step{key: name, index: -1, plain: !strings.Contains(name, `\`)}
}

// lookup returns the raw text of the value that the path leads to in the JSON
// text, a part of it. Of duplicate keys the last one counts, as in jsonb.
func lookup(text []byte, path []step) ([]byte, bool) {
	for i := range path {
		at := skipSpace(text, 0)
		if at >= len(text) {
			return nil, false
		}
		var ok bool
		switch text[at] {
		case '{':
			text, ok = member(text[at:], &path[i])
		case '[':
			text, ok = element(text[at:], path[i].index)
		}
		if !ok {
			return nil, false
		}
	}
	return bytes.TrimSpace(text), true
}

// member returns the value of the last member of the object text that has the
// step's key.
func member(object []byte, want *step) (value []byte, found bool) {
	members := objectMembers(object)
	for members.next() {
		if keyEqual(members.key, want) {
			value, found = members.value, true
		}
	}
	return value, found && members.ended
}

// element returns the value at the position in the array text.
func element(array []byte, position int) ([]byte, bool) {
	if position < 0 {
		return nil, false
	}
	elements := arrayElements(array)
	for ; elements.next(); position-- {
		if position == 0 {
			return elements.value, true
		}
	}
	return nil, false
}

// elements walks the elements of an array text.
type elements struct {
	text []byte
	at   int // where the next element is expected; -1: there is none

	value []byte // as written
}

// arrayElements returns the elements of the array text, which starts with a bracket.
func arrayElements(array []byte) elements {
	e := elements{text: array, at: skipSpace(array, 1)}
	if e.at < len(array) && array[e.at] == ']' {
		e.at = -1
	}
	return e
}

// next moves to the next element; false: there is none, or the text is malformed.
func (e *elements) next() bool {
	if e.at < 0 {
		return false
	}
	end := skipValue(e.text, e.at)
	if end < 0 {
		e.at = -1
		return false
	}
	e.value = e.text[e.at:end]
	if e.at = skipSpace(e.text, end); e.at < len(e.text) && e.text[e.at] == ',' {
		e.at = skipSpace(e.text, e.at+1)
	} else {
		e.at = -1
	}
	return true
}

// members walks the members of an object text.
type members struct {
	text  []byte
	at    int  // where the next member or the closing brace is expected
	ended bool // the closing brace was reached

	key   []byte // as written, without the quotes
	value []byte // as written
}

// objectMembers returns the members of the object text, which starts with a brace.
func objectMembers(object []byte) members {
	m := members{text: object, at: skipSpace(object, 1)}
	m.ended = m.at < len(object) && object[m.at] == '}'
	return m
}

// next moves to the next member; false: there is none, or the text is malformed.
func (m *members) next() bool {
	text := m.text
	if m.ended || m.at >= len(text) || text[m.at] != '"' {
		return false
	}
	end := skipString(text, m.at)
	if end < 0 {
		return false
	}
	m.key = text[m.at+1 : end-1]
	at := skipSpace(text, end)
	if at >= len(text) || text[at] != ':' {
		return false
	}
	at = skipSpace(text, at+1)
	end = skipValue(text, at)
	if end < 0 {
		return false
	}
	m.value = text[at:end]
	at = skipSpace(text, end)
	if at >= len(text) {
		return false
	}
	switch text[at] {
	case ',':
		m.at = skipSpace(text, at+1)
		return true
	case '}':
		m.at, m.ended = at, true
		return true
	}
	return false
}

// keyEqual reports whether a key, as written between its quotes, means the
// step's key.
func keyEqual(raw []byte, want *step) bool {
	if want.plain && string(raw) == want.key {
		return true
	}
	return !literal(raw) && cty.NormalizeString(unquote(raw)) == want.key
}

// literal reports whether the text between the quotes of a JSON string means
// itself: plain ASCII without escapes, which needs no normalization either.
func literal(raw []byte) bool {
	for _, c := range raw {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// skipSpace returns the index of the first byte at or after i that is not white
// space.
func skipSpace(text []byte, i int) int {
	for i < len(text) {
		switch text[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// skipValue returns the index just after the JSON value that starts at i, or -1.
// It doesn't recurse: depth costs nothing.
func skipValue(text []byte, i int) int {
	if i >= len(text) {
		return -1
	}
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		depth := 0
		for i < len(text) {
			switch text[i] {
			case '"':
				end := skipString(text, i)
				if end < 0 {
					return -1
				}
				i = end
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return -1
	}
	start := i
	for i < len(text) && isScalarByte(text[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// isScalarByte reports whether the byte can be part of a number, true, false or null.
func isScalarByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// skipString returns the index just after the JSON string whose opening quote is
// at i, or -1.
func skipString(text []byte, i int) int {
	for at := i + 1; ; {
		n := bytes.IndexByte(text[at:], '"')
		if n < 0 {
			return -1
		}
		quote := at + n
		escapes := 0
		for quote-1-escapes > i && text[quote-1-escapes] == '\\' {
			escapes++
		}
		at = quote + 1
		if escapes%2 == 0 {
			return at
		}
	}
}

// unquote returns what the text between the quotes of a JSON string means. As in
// encoding/json, invalid UTF-8 and lone surrogates become U+FFFD.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			r, size := utf8.DecodeRune(raw[i:])
			out = utf8.AppendRune(out, r)
			i += size
			continue
		}
		r, size := unescape(raw[i:])
		out = utf8.AppendRune(out, r)
		i += size
	}
	return string(out)
}

// unescape returns the rune that the escape sequence at the start of raw means,
// and how many bytes of raw it takes, which for a surrogate pair is both.
func unescape(raw []byte) (r rune, size int) {
	if len(raw) < 2 {
		return utf8.RuneError, len(raw)
	}
	switch raw[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hex4(raw[2:])
		if r < 0 {
			return utf8.RuneError, 2
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(raw[8:])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	}
	return rune(raw[1]), 2
}

// hex4 returns the number that the first four bytes spell in hexadecimal, or -1.
func hex4(raw []byte) rune {
	if len(raw) < 4 {
		return -1
	}
	var r rune
	for _, c := range raw[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

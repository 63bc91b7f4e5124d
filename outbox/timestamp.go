package outbox

import (
	"bytes"
	"time"
)

// parseTimestamp reads a timestamp as Postgres writes it in ISO style, with or without an
// offset: 2026-11-24 05:28:00.123456+05:30. Without, it is in UTC, as walpost's sessions
// are. Where there is no time that JSON could carry, problem says why.
func parseTimestamp(text []byte) (at time.Time, problem string) {
	const (
		unreadable = "is not a timestamp"
		tooEarly   = "is before our era"
		tooLate    = "is after the year 9999"
	)
	switch {
	case text == nil:
		return time.Time{}, "is NULL"
	case string(text) == "infinity" || string(text) == "-infinity":
		return time.Time{}, "is infinite"
	case bytes.HasSuffix(text, []byte(" BC")):
		return time.Time{}, tooEarly
	}
	if digits := bytes.IndexByte(text, '-'); digits == 5 || digits == 6 { // Postgres ends in 294276
		return time.Time{}, tooLate
	}
	s := scanner{text: text}
	year := s.number(4)
	s.expect('-')
	month := s.number(2)
	s.expect('-')
	day := s.number(2)
	s.expect(' ')
	hour := s.number(2)
	s.expect(':')
	minute := s.number(2)
	s.expect(':')
	second := s.number(2)
	nanosecond := s.fraction()
	offset := s.offset()
	at = time.Date(year, time.Month(month), day, hour, minute, second, nanosecond, time.UTC)
	// time.Date makes 3 March of 31 February.
	normal := at.Month() == time.Month(month) && at.Day() == day && hour < 24 && minute < 60 && second < 60
	if s.failed || len(s.text) != 0 || !normal {
		return time.Time{}, unreadable
	}
	at = at.Add(-offset)
	switch {
	case at.Year() < 1:
		return time.Time{}, tooEarly
	case at.Year() > 9999:
		return time.Time{}, tooLate
	}
	return at, ""
}

// scanner reads a timestamp from left to right; failed sticks.
type scanner struct {
	text   []byte // what is left
	failed bool
}

// next gives the byte to come, 0 at the end.
func (s *scanner) next() byte {
	if len(s.text) == 0 {
		return 0
	}
	return s.text[0]
}

func (s *scanner) accept(c byte) bool {
	if s.next() != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

func (s *scanner) expect(c byte) {
	if !s.accept(c) {
		s.failed = true
	}
}

// number reads exactly so many digits.
func (s *scanner) number(digits int) int {
	n := 0
	for range digits {
		c := s.next()
		if !isDigit(c) {
			s.failed = true
			return 0
		}
		n = n*10 + int(c-'0')
		s.text = s.text[1:]
	}
	return n
}

// fraction reads up to nine digits of a second after a point, in nanoseconds.
func (s *scanner) fraction() int {
	if !s.accept('.') {
		return 0
	}
	scale := int(time.Second) / 10
	n := s.number(1) * scale
	for isDigit(s.next()) && scale > 1 {
		scale /= 10
		n += s.number(1) * scale
	}
	return n
}

// offset reads +hh, +hh:mm or +hh:mm:ss, or nothing.
func (s *scanner) offset() time.Duration {
	sign := time.Duration(1)
	switch {
	case s.accept('-'):
		sign = -1
	case !s.accept('+'):
		return 0
	}
	offset := time.Duration(s.number(2)) * time.Hour
	for _, unit := range [...]time.Duration{time.Minute, time.Second} {
		if s.accept(':') {
			offset += time.Duration(s.number(2)) * unit
		}
	}
	return sign * offset
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

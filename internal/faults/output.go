//go:build unix

package faults

import (
	"bytes"
	"sync"
)

// sighting notes that a text came by in what is written to it, in whatever pieces and however much follows.
type sighting struct {
	text []byte
	then func() // called when it comes by; nil: nothing
	rest []byte // of what came before, as much as may belong to the text
	seen bool
}

func (s *sighting) Write(b []byte) (int, error) {
	if s.seen {
		return len(b), nil
	}
	s.rest = append(s.rest, b...)
	if bytes.Contains(s.rest, s.text) {
		s.seen, s.rest = true, nil
		if s.then != nil {
			s.then()
		}
		return len(b), nil
	}
	s.rest = append([]byte(nil), s.rest[max(0, len(s.rest)-len(s.text)+1):]...)
	return len(b), nil
}

// tail keeps the last lines of a log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 6 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if len(t.text) > 2*tailBytes {
		t.text = append([]byte(nil), t.text[len(t.text)-tailBytes:]...)
	}
	return len(b), nil
}

// String is the tail.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text[max(0, len(t.text)-tailBytes):])
}

//go:build unix

package faults

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/walpost/walpost/internal/failpoint"
)

// TestReachedFailpointIsSeen in what a busy process goes on saying until the signal strikes, which is more than the tail
// keeps, and in the pieces in which a pipe brings it.
func TestReachedFailpointIsSeen(t *testing.T) {
	t.Parallel()
	said := "failpoint gap-bounded\n" + failpoint.Reached(failpoint.GapBounded) + "\n" + strings.Repeat("attempt failed\n", 3000)
	for _, piece := range []int{1, 3, 4096} {
		calls := 0
		s := &sighting{text: []byte(failpoint.Reached(failpoint.GapBounded)), then: func() { calls++ }}
		log := &tail{}
		if _, err := io.CopyBuffer(onlyWriter{io.MultiWriter(log, s)}, onlyReader{strings.NewReader(said)}, make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
		if !s.seen || calls != 1 {
			t.Errorf("in pieces of %d: seen %v, %d times", piece, s.seen, calls)
		}
		if strings.Contains(log.String(), "reached") {
			t.Error("the tail has all of it, so the test shows nothing")
		}
	}
	other := &sighting{text: []byte(failpoint.Reached(failpoint.GapPassed))}
	if _, err := bytes.NewBufferString(said).WriteTo(other); err != nil || other.seen {
		t.Errorf("another point was seen: %v (%v)", other.seen, err)
	}
}

type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

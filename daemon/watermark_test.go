package daemon

import (
	"strconv"
	"testing"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// A checkpoint never carries a sample from above its position, however old the newest fitting one is.
func TestWatermarksFitTheirPosition(t *testing.T) {
	t.Parallel()
	var w watermarks
	at := func(lsn uint64) ledger.Watermark {
		return ledger.Watermark{Snapshot: strconv.FormatUint(lsn, 10), LSN: lsn}
	}
	if got := w.newest(1 << 40); got.Snapshot != "" {
		t.Errorf("got %+v from an empty ring", got)
	}
	const samples = 10_000 // of a position that doesn't move for hours
	for lsn := uint64(10); lsn <= samples*10; lsn += 10 {
		w.add(at(lsn))
		w.add(at(5)) // an older one, late
	}
	if len(w.ring) > maxWatermarks {
		t.Errorf("%d samples are kept", len(w.ring))
	}
	if got := w.newest(9); got.LSN != 0 {
		t.Errorf("got %+v for a position below all", got)
	}
	if got := w.newest(10); got.LSN != 10 {
		t.Errorf("got %+v: the oldest was given up", got)
	}
	for position := uint64(10); position < samples*10; position += 777 {
		if got := w.newest(cdc.LSN(position)); got.LSN > position || got.LSN == 0 {
			t.Errorf("got %+v for %d", got, position)
		}
	}
}

// The last commit of a burst gets one checkpoint more, when a sample sees it, and no further one.
func TestLateWatermarkIsSavedOnce(t *testing.T) {
	t.Parallel()
	var w watermarks
	w.add(ledger.Watermark{Snapshot: "1:1:", LSN: 100})
	w.use(w.newest(150))
	if w.late(w.newest(150), 150) {
		t.Error("nothing new is known")
	}
	w.add(ledger.Watermark{Snapshot: "2:2:", LSN: 160})
	if w.late(w.newest(155), 150) {
		t.Error("the position has not reached the sample")
	}
	mark := w.newest(160)
	if !w.late(mark, 150) {
		t.Error("a sample that sees the last commit is not saved")
	}
	w.use(mark)
	w.add(ledger.Watermark{Snapshot: "3:3:", LSN: 170})
	if w.late(w.newest(500), 150) {
		t.Error("it is saved again, without a commit")
	}
}

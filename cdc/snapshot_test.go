package cdc

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestParseSnapshot(t *testing.T) {
	t.Parallel()
	s, err := parseSnapshot("10:20:10,14,15")
	if err != nil || s.xmin != 10 || s.xmax != 20 || !slices.Equal(s.running, []int64{10, 14, 15}) {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = parseSnapshot("4294967300:4294967300:"); err != nil || s.xmin != 1<<32+4 || len(s.running) != 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "1:2", "0:2:", "2:1:", "1:5:5", "3:5:2", "1:5:x", "1:5:,", "-1:5:", "1:5::"} {
		if s, err := parseSnapshot(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, s)
		}
	}
}

// Whatever the epoch, an id among the 2^32 below the newer snapshot's end is found again by its lower half.
func TestWidenAcrossEpochs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	ends := []int64{1 << 32, 1<<32 + 5, 1<<32 - 1, 3<<32 + 7, 1 << 40, 1<<62 + 3}
	for range 1000 {
		ends = append(ends, 1<<32+random.Int64N(1<<50))
	}
	for _, end := range ends {
		for range 50 {
			xid := end - random.Int64N(min(1<<32, end))
			if got := widen(uint32(xid), end); got != xid {
				t.Fatalf("xid %d below %d is widened to %d", xid, end, got)
			}
		}
	}
	// One committed after the snapshot looks older than everything: it is in the stream.
	if got := widen(7, 5); got >= 0 {
		t.Errorf("xid 7 above 5 is widened to %d", got)
	}
}

func TestSpanLeavesOutOnlyWhatIsSurelySeen(t *testing.T) {
	t.Parallel()
	parse := func(text string) snapshot {
		s, err := parseSnapshot(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	wanted := between(parse("4294967290:4294967310:4294967290,4294967299"), parse("4294967400:4294967410:4294967400,4294967405"))
	for _, c := range []struct {
		xid  int64
		read bool
		why  string
	}{
		{4294967289, false, "over before"},
		{4294967290, true, "running before"},
		{4294967291, true, "may be a subtransaction of one that was running, epoch 0"},
		{4294967305, true, "may be a subtransaction of one that was running, epoch 1"},
		{4294967310, true, "later"},
		{4294967400, false, "runs now: in the stream"},
		{4294967404, true, "over now, or a subtransaction"},
		{4294967410, false, "later than now: in the stream"},
		{4294967500, false, "later than now: in the stream"},
	} {
		id := widen(uint32(c.xid), wanted.to)
		read := id >= wanted.from && id < wanted.to && !slices.Contains(wanted.running, id)
		if read != c.read {
			t.Errorf("xid %d (%s): read is %t", c.xid, c.why, read)
		}
	}
	if s := between(parse("50:50:"), parse("10:20:")); s.from != 0 {
		t.Errorf("a snapshot from the future leaves out what is below %d", s.from)
	}
}

// The server computes as widen does.
func TestWidenInSQL(t *testing.T) {
	t.Parallel()
	_, pool := outboxDatabase(t)
	random := rand.New(rand.NewPCG(3, 4))
	var xids []uint32
	var ends, want []int64
	for range 2000 {
		xid, end := random.Uint32(), random.Int64N(1<<34)
		xids, ends, want = append(xids, xid), append(ends, end), append(want, widen(xid, end))
	}
	got := scalar[[]int64](t, pool, `select array_agg(
		(e - ((e - x::text::bigint) & 4294967295)) order by n) from unnest($1::bigint[], $2::bigint[]) with ordinality as t (x, e, n)`, xids, ends)
	equal(t, "widened", got, want)
}

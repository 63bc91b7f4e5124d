package cli

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("cg/slice/memory.max", "268435456\n")
	write("cg/slice/unit/memory.max", "max\n")
	write("cg/slice/small/memory.max", "67108864\n")
	for membership, want := range map[string]int64{
		"0::/\n":                      0,
		"0::/slice/unit\n":            256 << 20,
		"1:name=x:/\n0::/slice/small": 64 << 20,
		"4:memory:/slice\n":           0,
		"0::/elsewhere\n":             0,
	} {
		limit, ok := containerMemory(write("membership", membership), filepath.Join(root, "cg"))
		if ok != (want > 0) || ok && limit != want {
			t.Errorf("%q: %d, %v, want %d", membership, limit, ok, want)
		}
	}
	if _, ok := containerMemory(filepath.Join(root, "none"), root); ok {
		t.Error("found a limit without /proc")
	}
}

func TestSoftLimitFollowsWhatIsAlive(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ alive, most, want int64 }{
		{0, mostMemory, leastMemory},
		{10 << 20, mostMemory, leastMemory},
		{40<<20 + 7, mostMemory, 60 << 20},
		{200 << 20, mostMemory, mostMemory},
		{0, 32 << 20, 32 << 20}, // a small container's
		{40 << 20, 50<<20 + 1, 50<<20 + 1},
	} {
		if got := softLimit(tc.alive, tc.most); got != tc.want {
			t.Errorf("%d alive, %d at most: %d, want %d", tc.alive, tc.most, got, tc.want)
		}
	}
}

func TestLimitMemoryLeavesItToTheEnvironment(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	limitMemory(func(name string) (string, bool) { return "1GiB", name == "GOMEMLIMIT" })()
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("the limit is %d, and was %d", after, before)
	}
}

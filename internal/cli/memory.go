package cli

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// The memory that `walpost run` asks Go's collector to stay within, in bytes: what is alive and garbageRoom, but leastMemory at least and
// mostMemory at most. What it may hold by its own bounds is less than the latter. Without the limit, the collector would let garbage grow
// to several times what is alive; with one that doesn't follow what is alive, it would let it grow to the limit.
const (
	leastMemory = 48 << 20
	mostMemory  = 96 << 20
	garbageRoom = 20 << 20
)

// followEvery is how often what is alive is looked at.
const followEvery = time.Second

// gcPercent is how much garbage the collector lets grow beside what is alive, a few MiB as a rule, as long as that stays within the
// soft limit: with Go's 100 it would run every few thousand events.
const gcPercent = 300

// limitMemory keeps the collector's soft limit, unless GOMEMLIMIT sets it, until the result is called. A fifth of the container's memory
// is left to all that the collector doesn't see.
func limitMemory(lookupEnv func(string) (string, bool)) (stop func()) {
	if _, set := lookupEnv("GOMEMLIMIT"); set {
		return func() {}
	}
	most := int64(mostMemory)
	if container, ok := containerMemory("/proc/self/cgroup", "/sys/fs/cgroup"); ok {
		most = min(most, container/5*4)
	}
	debug.SetMemoryLimit(softLimit(0, most))
	if _, set := lookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	ended, stopping := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		followMemory(most, stopping)
	}()
	return func() { close(stopping); <-ended }
}

// followMemory sets the soft limit by what is alive.
func followMemory(most int64, stopping <-chan struct{}) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	last := softLimit(0, most)
	for {
		select {
		case <-ticker.C:
		case <-stopping:
			return
		}
		metrics.Read(alive)
		limit := softLimit(int64(alive[0].Value.Uint64()+alive[1].Value.Uint64()), most)
		if limit != last {
			debug.SetMemoryLimit(limit)
			last = limit
		}
	}
}

// softLimit is the limit for so many bytes that are alive, in whole MiB, and never above most.
func softLimit(alive, most int64) int64 {
	return min(max(alive+garbageRoom, leastMemory)>>20<<20, most)
}

// containerMemory is the limit of the control group (version 2) that the process is in, or of the closest one above it that has one.
func containerMemory(membership, root string) (limit int64, ok bool) {
	text, err := os.ReadFile(membership)
	if err != nil {
		return 0, false // another system, or no /proc
	}
	for line := range strings.Lines(string(text)) {
		group, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		limit = math.MaxInt64
		for dir := filepath.Join(root, group); len(dir) >= len(root); dir = filepath.Dir(dir) {
			if value, err := os.ReadFile(filepath.Join(dir, "memory.max")); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64); err == nil { // else it is "max"
					limit = min(limit, n)
				}
			}
		}
		return limit, limit < math.MaxInt64
	}
	return 0, false
}

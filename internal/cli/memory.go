package cli

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// softMemory is the memory that `walpost run` asks Go's collector to stay within, in bytes. What it may hold by its own bounds
// is less; without the limit, the collector would let garbage grow to as much again.
const softMemory = 96 << 20

// gcPercent is how much garbage the collector lets grow beside what is alive, a few MiB as a rule, as long as that stays within the
// soft limit: with Go's 100 it would run every few thousand events.
const gcPercent = 300

// limitMemory sets the collector's soft limit, unless GOMEMLIMIT does: softMemory, or what leaves a fifth of the
// container's memory to all that the collector doesn't see.
func limitMemory(lookupEnv func(string) (string, bool)) {
	if _, set := lookupEnv("GOMEMLIMIT"); set {
		return
	}
	limit := int64(softMemory)
	if container, ok := containerMemory("/proc/self/cgroup", "/sys/fs/cgroup"); ok {
		limit = min(limit, container/5*4)
	}
	debug.SetMemoryLimit(limit)
	if _, set := lookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
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

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// used is the CPU time, user and system, of a process that has ended.
func used(state *os.ProcessState) time.Duration { return state.UserTime() + state.SystemTime() }

// peak is the most memory that a running process has had resident, in MiB. (What wait4 tells of a child begins with its parent's.)
func peak(pid int) float64 {
	return kib(filepath.Join("/proc", strconv.Itoa(pid), "status"), "VmHWM:") / 1024
}

// kib reads a line of a file below /proc that has a number of KiB.
func kib(path, name string) float64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return math.NaN()
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0]) // the kernel writes a number
			return float64(n)
		}
	}
	return math.NaN()
}

// clockTick is the unit of the times in /proc/PID/stat on Linux, USER_HZ.
const clockTick = 10 * time.Millisecond

// procStat are the fields of /proc/PID/stat that we read; proc(5).
type procStat struct {
	parent        int
	own, children time.Duration // user and system; children: of those that were waited for
}

func readStat(pid string) (s procStat, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return s, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from field 3 on
	if len(fields) < 15 {
		return s, fmt.Errorf("/proc/%s/stat is short", pid)
	}
	number := func(field int) time.Duration {
		n, _ := strconv.Atoi(fields[field-3]) // the kernel writes numbers
		return time.Duration(n)
	}
	return procStat{
		parent: int(number(4)), own: (number(14) + number(15)) * clockTick, children: (number(16) + number(17)) * clockTick,
	}, nil
}

// family is the CPU time of a process and all its children, dead ones included. A process that ends meanwhile is
// in its parent's sum.
func family(pid int) (cpu time.Duration, err error) {
	root, err := readStat(strconv.Itoa(pid))
	if err != nil {
		return 0, err
	}
	cpu = root.own + root.children
	all, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range all {
		if entry.Name()[0] < '0' || entry.Name()[0] > '9' {
			continue
		}
		if s, err := readStat(entry.Name()); err == nil && s.parent == pid {
			cpu += s.own + s.children
		}
	}
	return cpu, nil
}

// resident is the memory of a process and its children in MiB, what they share counted once.
func resident(pid int) (mib float64) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return math.NaN()
	}
	for _, entry := range all {
		s, err := readStat(entry.Name())
		if err != nil || (s.parent != pid && entry.Name() != strconv.Itoa(pid)) {
			continue
		}
		if n := kib(filepath.Join("/proc", entry.Name(), "smaps_rollup"), "Pss:"); !math.IsNaN(n) {
			mib += n / 1024
		}
	}
	return mib
}

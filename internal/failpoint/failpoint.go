// Package failpoint ends the process at named places, so that tests may show what a kill -9 there leaves behind.
//
// A place is one line, Hit(Point), which costs a load and a branch that is never taken: nothing arms a point but a
// test's program, by Arm, before it starts to work.
package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// armed is what Hit looks at; it is written once, before there are other goroutines.
var armed *trap

// trap kills the process when its point is hit for the nth time.
type trap struct {
	point Point
	nth   int64
	hits  atomic.Int64
}

// Hit says that the process has come by a point.
func Hit(p Point) {
	if armed != nil {
		armed.hit(p)
	}
}

// Variable is the environment variable by which test programs are told what to Arm.
const Variable = "WALPOST_FAILPOINT"

// Arm makes the process kill itself, with SIGKILL, when a point is hit for the nth time: "before-checkpoint:kill@3". An
// empty text arms nothing. It must be called before the points may be hit.
func Arm(text string) error {
	if text == "" {
		return nil
	}
	name, action, _ := strings.Cut(text, ":")
	count, isKill := strings.CutPrefix(action, "kill@")
	nth, err := strconv.ParseInt(count, 10, 64)
	if !isKill || err != nil || nth < 1 {
		return fmt.Errorf("failpoint %q: want NAME:kill@N", text)
	}
	for _, p := range All() {
		if p.String() == name {
			armed = &trap{point: p, nth: nth}
			return nil
		}
	}
	return fmt.Errorf("failpoint %q: no point has this name", text)
}

// Reached is what a process writes to its standard error, on a line of its own, when its point ends it.
func Reached(p Point) string { return "failpoint " + p.String() + " reached" }

func (t *trap) hit(p Point) {
	if p != t.point || t.hits.Add(1) != t.nth {
		return
	}
	fmt.Fprintln(os.Stderr, Reached(p))
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err) // a test must not take this process for a dead one
	}
	select {} // the signal may take a moment: nothing must happen after the point
}

//go:build unix

package failpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the program that comes by its points.
func TestMain(m *testing.M) {
	if text := os.Getenv(Variable); text != "" {
		if err := Arm(text); err != nil {
			os.Exit(3)
		}
		for range 3 {
			Hit(Routed)
			Hit(Queued)
			fmt.Println("passed")
		}
		return
	}
	m.Run()
}

func TestKill(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ passed, code int }{
		"routed:kill@1":  {passed: 0, code: -1},
		"queued:kill@3":  {passed: 2, code: -1},
		"queued:kill@4":  {passed: 3, code: 0},
		"decoded:kill@1": {passed: 3, code: 0},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), Variable+"="+text)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if passed, code := strings.Count(string(out), "passed"), cmd.ProcessState.ExitCode(); passed != want.passed || code != want.code {
			t.Errorf("%s: passed %d times, ended with %v", text, passed, err)
		}
		name, _, _ := strings.Cut(text, ":")
		if reached := strings.Contains(said.String(), "failpoint "+name+" reached\n"); reached != (want.code != 0) {
			t.Errorf("%s: it said %q", text, said.String())
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestArmRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"routed", "routed:kill", "routed:kill@0", "routed:kill@x", "routed:stop@1", "nowhere:kill@1", ":kill@1"} {
		if err := Arm(text); err == nil || armed != nil {
			t.Errorf("%q is accepted", text)
		}
	}
	if err := Arm(""); err != nil || armed != nil {
		t.Errorf("nothing: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"": true}
	for _, p := range All() {
		if seen[p.String()] {
			t.Errorf("point %d has the name %q", p, p)
		}
		seen[p.String()] = true
	}
}

// BenchmarkHit is what a point costs where nothing is armed.
func BenchmarkHit(b *testing.B) {
	for range b.N { // not b.Loop, which keeps the call from being inlined
		Hit(Decoded)
	}
}

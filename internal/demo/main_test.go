//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/walpost/walpost/internal/pgtest"
)

// role makes a process that this test binary starts the demo instead of a test run: "once" or "live".
const role = "WALPOST_TEST_DEMO"

func TestMain(m *testing.M) {
	if as := os.Getenv(role); as != "" {
		os.Exit(demonstrate(as == "once"))
	}
	pgtest.Main(m)
}

// demonstrate is the demo as a command runs it.
func demonstrate(once bool) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT)
	defer stop()
	switch err := Run(ctx, Options{Once: once, Out: os.Stdout}); {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return 130
	default:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
}

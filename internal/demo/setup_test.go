//go:build unix

package demo

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/walpost/walpost/internal/pgembed"
)

// Where no Postgres can run the demo says what to do.
func TestNoPostgres(t *testing.T) {
	t.Setenv(pgembed.BinEnv, t.TempDir())
	err := Run(t.Context(), Options{Out: io.Discard})
	var setup *SetupError
	if !errors.As(err, &setup) || setup.Fix == "" || !strings.Contains(err.Error(), setup.Fix) {
		t.Errorf("error %v, want a *SetupError whose fix is told", err)
	}
}

func TestNoOut(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "Out is required") {
		t.Errorf("error %v, want that Out is required", err)
	}
}

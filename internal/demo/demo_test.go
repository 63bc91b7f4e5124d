//go:build unix

package demo

import (
	"strings"
	"testing"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Run(t.Context(), Options{Once: true, Out: &out, Width: 80, Version: "test"}); err != nil {
		t.Error(err)
	}
	t.Log(out.String())
}

//go:build unix

package demo

import (
	"testing"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

package outbox_test

import (
	"testing"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

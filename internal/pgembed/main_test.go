//go:build unix

package pgembed

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// ownerEnv has the test program play the part of an owner that is killed.
const ownerEnv = "WALPOST_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(ownerEnv) != "" {
		own()
	}
	goleak.VerifyTestMain(m)
}

// own starts a server, tells its folder and URL, and waits to be killed.
func own() {
	server, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.cluster.dir)
	fmt.Println(server.URL("postgres"))
	select {}
}

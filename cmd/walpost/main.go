// Command walpost follows an outbox table through PostgreSQL logical replication and posts webhooks.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/walpost/walpost/internal/cli"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(cli.Main(cli.Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Signals: signals,
	}))
}

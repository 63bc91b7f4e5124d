package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/outbox"
)

// perSample is how many events one sample has, committed in one transaction.
const perSample = 2000

const insertSQL = `insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
	select 'contact', i, $2, jsonb_build_object('contact', jsonb_build_object('id', i)) from generate_series(1, $1::int) i`

// outboxRows delivers events from a table that has many others.
func outboxRows(ctx context.Context, most int, to *recorder) (err error) {
	g, err := newGround(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(ctx)) }()
	if err := g.exec(ctx, outbox.Table{}.DDL()); err != nil {
		return err
	}
	var count atomic.Int64
	done := make(chan struct{}, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if count.Add(1)%perSample == 0 {
			done <- struct{}{}
		}
	}))
	defer receiver.Close()
	stop, err := start(ctx, fmt.Sprintf("database { url = %q }\nwebhook \"all\" {\n topics = [\"*\"]\n url = %q\n}\n", g.server.URL("postgres"), receiver.URL))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	rows := 0
	for _, n := range powers(1000, most) {
		for rows < n { // unrouted, so that they are read and passed over
			more := min(n-rows, 500_000)
			if err := g.exec(ctx, insertSQL, more, "unknown"); err != nil {
				return err
			}
			rows += more
		}
		if err := g.exec(ctx, "vacuum analyze public.outbox"); err != nil {
			return err
		}
		var samples []time.Duration
		for i := range 8 {
			begin := time.Now()
			if err := g.exec(ctx, insertSQL, perSample, "contact.tagged"); err != nil {
				return err
			}
			select {
			case <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if i > 0 { // before the first, the rows above are still on their way
				samples = append(samples, time.Since(begin)/perSample)
			}
		}
		to.add("insert, stream, route, send", n, samples)
	}
	return nil
}

// start runs a daemon; stop ends it.
func start(ctx context.Context, text string) (stop func() error, err error) {
	cfg, diagnostics := config.Parse(map[string][]byte{"walpost.hcl": []byte(text)})
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	d, err := daemon.New(daemon.Options{Config: cfg})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-d.Ready():
		return func() error { cancel(); return <-ended }, nil
	case err := <-ended:
		cancel()
		return nil, errors.Join(err, errors.New("the daemon has ended"))
	}
}

package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// blackHole is an endpoint that accepts connections and never says a word.
type blackHole struct {
	url      string
	listener net.Listener
	mu       sync.Mutex
	taken    []net.Conn
}

func newBlackHole() (*blackHole, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &blackHole{url: "http://" + listener.Addr().String() + "/", listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			h.mu.Lock()
			h.taken = append(h.taken, conn)
			h.mu.Unlock()
		}
	}()
	return h, nil
}

// letGo closes the connections, and gives their number.
func (h *blackHole) letGo() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.taken)
	for _, conn := range h.taken {
		_ = conn.Close() // it may be closed by the other side
	}
	h.taken = nil
	return n
}

func (h *blackHole) close() {
	_ = h.listener.Close() // the program ends
	h.letGo()
}

// holeQueue is `queue` of the webhooks that nobody answers, so that what fills them all fits into memory.
const holeQueue = 100

func (a *arena) holes() string {
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "webhook \"hole_%d\" {\n  topics = [\"contact.created\"]\n  url = \"%s%[1]d\"\n  queue = %[3]d\n}\n", i, a.hole.url, holeQueue)
	}
	return b.String()
}

// fillHoles brings each of the dead endpoints more than its queue takes at once, and then some more each second.
func (b *bout) fillHoles(ctx context.Context, conn *pgx.Conn) error {
	const each = holeQueue + 20
	if err := b.bulk(ctx, conn, otherEvents, each); err != nil {
		return err
	}
	every := time.NewTicker(time.Second / 4)
	defer every.Stop()
	for i := otherEvents + each; time.Since(b.began) < b.steady-disturbAfter; i++ {
		select {
		case <-every.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.bulk(ctx, conn, i, 1); err != nil {
			return err
		}
	}
	var owed int
	err := conn.QueryRow(ctx, "select count(*) from walpost.delivery where webhook like 'hole%'").Scan(&owed)
	b.note = fmt.Sprintf("%d deliveries owed, %d connections", owed, b.arena.hole.letGo())
	return err
}

func (a *arena) flooded() string {
	return fmt.Sprintf("webhook \"flooded\" {\n  concurrency = 32\n  topics = [\"contact.created\"]\n  url = %q\n}\n", a.slow.url)
}

// flood commits all events of the other endpoint at once.
func (b *bout) flood(ctx context.Context, conn *pgx.Conn) error {
	arriving := b.arena.slow.expect(b.count, answers{delay: 20 * time.Millisecond})
	if err := b.bulk(ctx, conn, otherEvents, b.count); err != nil {
		return err
	}
	return b.drained(ctx, arriving)
}

// torrent commits them one by one.
func (b *bout) torrent(ctx context.Context, _ *pgx.Conn) error {
	arriving := b.arena.slow.expect(b.count, answers{delay: 20 * time.Millisecond})
	if _, err := b.insertAt(ctx, otherType, otherEvents, b.count, 2000, 1); err != nil {
		return err
	}
	return b.drained(ctx, arriving)
}

func (b *bout) drained(ctx context.Context, arriving *expectation) error {
	if err := arriving.await(ctx); err != nil {
		return err
	}
	b.note = fmt.Sprintf("drained in %.1f s, %d at a time", time.Since(b.began).Seconds(), arriving.peak.Load())
	return nil
}

// bulk commits n events that the good endpoint doesn't take, in one transaction.
func (b *bout) bulk(ctx context.Context, conn *pgx.Conn, first, n int) error {
	_, err := conn.Exec(ctx, `insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
		select format('00000000-0000-4000-8000-%s', lpad(i::text, 12, '0'))::uuid, 'contact', i, 'contact.created',
			jsonb_build_object('contact', jsonb_build_object('id', i), 'note', repeat('x', $3::int))
		from generate_series($1::int, $1::int + $2::int - 1) i`, first, n, max(1, b.payload-40))
	return err
}

// owe has all retries fail once, before the measurement.
func (b *bout) owe(ctx context.Context) error {
	if err := b.preload(ctx, owedEvents, b.count, 100); err != nil {
		return err
	}
	return b.failOnce(ctx, b.count)
}

// comeDue makes them due at the same moment, and waits until all were made.
func (b *bout) comeDue(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "update walpost.delivery set due_at = walpost.now()"); err != nil {
		return err
	}
	for {
		var owed int
		if err := conn.QueryRow(ctx, "select count(*) from walpost.delivery where state <> 'delivered'").Scan(&owed); err != nil {
			return err
		}
		if owed == 0 {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.note = fmt.Sprintf("drained in %.1f s", time.Since(b.began).Seconds())
	return nil
}

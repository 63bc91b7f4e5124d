package daemon

import (
	"sync"
	"testing"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// BenchmarkQueue is what one delivery costs on its way through a queue, without its request.
func BenchmarkQueue(b *testing.B) {
	var ended sync.WaitGroup
	q := newQueue("hook", &target{webhook: &config.Webhook{Queue: 1000, Concurrency: 32}},
		func(q *queue, w work) { q.finish(w.first); ended.Done() }, make(chan struct{}, 1))
	d := &delivery{Delivery: route.Delivery{Row: &outbox.Row{Payload: []byte(`{}`)}}}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		ended.Add(1)
		for q.push(d, now, false) != admitted {
			<-q.room
		}
	}
	ended.Wait()
}

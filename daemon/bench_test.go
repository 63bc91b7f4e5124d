package daemon

import (
	"strconv"
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
		for q.push(d, now, enough) != admitted {
			<-q.room
		}
	}
	ended.Wait()
}

// BenchmarkQueueInOrder is the same for deliveries that have a key: of 100 keys in turn, and all of one.
func BenchmarkQueueInOrder(b *testing.B) {
	for name, keys := range map[string]int{"keys=0": 0, "keys=100": 100, "keys=1": 1} {
		b.Run(name, func(b *testing.B) {
			var ended sync.WaitGroup
			p := &pipeline{}
			q := newQueue("hook", &target{webhook: &config.Webhook{Queue: 1000, Concurrency: 32}},
				func(q *queue, w work) { q.finish(w.first); p.advance(q, w.first); ended.Done() }, make(chan struct{}, 1))
			q.keys.wide = false
			names := make([]string, max(1, keys))
			for i := range names[:keys] {
				names[i] = "contact-" + strconv.Itoa(i)
			}
			row := &outbox.Row{Payload: []byte(`{}`)}
			now := time.Now()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ended.Add(1)
				d := &delivery{Delivery: route.Delivery{Row: row, Key: names[i%len(names)]}}
				for q.push(d, now, enough) != admitted {
					<-q.room
				}
			}
			ended.Wait()
		})
	}
}

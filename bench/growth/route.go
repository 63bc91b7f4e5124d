package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

const matching = `
database { url = "postgres://h/d" }
rule "match" {
  when  = event.aggregate_type == "contact" && event.type == "tagged"
  topic = "contact.tagged"
}
webhook "match" {
  topics = ["contact.tagged"]
  url    = "https://example.com"
}
`

// rules routes an event beside rules for other types of event.
func rules(ctx context.Context, most int, to *recorder) error {
	for _, n := range powers(1, most) {
		blocks := make([]string, n)
		for i := range n {
			blocks[i] = fmt.Sprintf("rule \"r%d\" {\n when = event.aggregate_type == \"other\" && event.type == \"t%[1]d\"\n topic = \"contact.created\"\n}\n", i)
		}
		if err := routing(ctx, blocks, "one rule matches", to); err != nil {
			return err
		}
	}
	return nil
}

// webhooks routes an event beside webhooks for other topics.
func webhooks(ctx context.Context, most int, to *recorder) error {
	for _, n := range powers(1, most) {
		blocks := make([]string, n)
		for i := range n {
			blocks[i] = fmt.Sprintf("webhook \"w%d\" {\n topics = [\"meeting.*\"]\n url = \"https://example.com/%[1]d\"\n}\n", i)
		}
		if err := routing(ctx, blocks, "one webhook takes it", to); err != nil {
			return err
		}
	}
	return nil
}

// blocksPerFile keeps the files below what the loader takes.
const blocksPerFile = 1000

func routing(ctx context.Context, blocks []string, line string, to *recorder) error {
	files := map[string][]byte{"a.hcl": []byte(matching)}
	for i, some := range slices.Collect(slices.Chunk(blocks, blocksPerFile)) {
		files[fmt.Sprintf("b%d.hcl", i)] = []byte(strings.Join(some, ""))
	}
	cfg, diagnostics := config.Parse(files)
	if diagnostics.HasErrors() {
		return diagnostics
	}
	table, diagnostics := route.Compile(cfg)
	if diagnostics.HasErrors() {
		return diagnostics
	}
	row := &outbox.Row{ID: "1", AggregateType: "contact", AggregateID: "7", Type: "tagged", Payload: []byte(`{"contact":{"id":7}}`)}
	const calls = 1000 // in one sample
	runtime.GC()       // what compiling has left
	var samples []time.Duration
	for range 21 {
		begin := time.Now()
		for range calls {
			if deliveries, problems := table.Route(row); len(deliveries) != 1 || len(problems) != 0 {
				return fmt.Errorf("%d deliveries, %d problems", len(deliveries), len(problems))
			}
		}
		samples = append(samples, time.Since(begin)/calls)
	}
	to.add(line, len(blocks), samples)
	return ctx.Err()
}

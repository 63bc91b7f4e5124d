// Command river does walpost's job as a user of River would: a job is inserted in the application's transaction, and a
// worker posts it. It is tuned as River's documentation advises for throughput: many workers, short polling and fetch
// intervals, completions in batches (the default), jobs inserted many at a time.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// webhook is a job: the body to post.
type webhook struct {
	Body json.RawMessage `json:"body"`
}

// Kind names the job in the table.
func (webhook) Kind() string { return "webhook" }

type worker struct {
	river.WorkerDefaults[webhook]
	client *http.Client
	url    string
}

// Timeout is the webhook guide's.
func (w *worker) Timeout(*river.Job[webhook]) time.Duration { return 10 * time.Second }

// Work posts one webhook.
func (w *worker) Work(ctx context.Context, job *river.Job[webhook]) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(job.Args.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	mode := flag.String("mode", "", "insert or work")
	database := flag.String("database", "", "connection string")
	url := flag.String("url", "", "where to post")
	jobs := flag.Int("jobs", 1, "how many to insert")
	payload := flag.Int("payload", 500, "bytes of a payload")
	workers := flag.Int("workers", 100, "jobs at a time")
	flag.Parse()
	var err error
	switch *mode {
	case "insert":
		err = insert(ctx, *database, *jobs, *payload)
	case "work":
		err = work(ctx, *database, *url, *workers)
	default:
		err = fmt.Errorf("mode %q: use insert or work", *mode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// insert makes River's tables and the jobs.
func insert(ctx context.Context, database string, jobs, size int) error {
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		return err
	}
	const chunk = 1000
	for from := 0; from < jobs; from += chunk {
		var params []river.InsertManyParams
		for i := from; i < min(from+chunk, jobs); i++ {
			params = append(params, river.InsertManyParams{Args: webhook{Body: body(i, size)}})
		}
		if _, err := client.InsertManyFast(ctx, params); err != nil {
			return err
		}
	}
	_, err = pool.Exec(ctx, "analyze river_job")
	return err
}

func work(ctx context.Context, database, url string, workers int) error {
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	registered := river.NewWorkers()
	river.AddWorker(registered, &worker{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, MaxConnsPerHost: workers}}, url: url,
	})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers, FetchCooldown: time.Millisecond, FetchPollInterval: 5 * time.Millisecond}},
		Workers: registered,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	<-ctx.Done()
	return client.Stop(context.WithoutCancel(ctx))
}

// body is about what walpost sends for row i.
func body(i, size int) []byte {
	return fmt.Appendf(nil, `{"id":"00000000-0000-4000-8000-%012d","topic":"contact.tagged","created_at":"2026-01-01T00:00:00Z",`+
		`"contact":{"id":%d,"type":"lead","name":"Ada %d","email":"ada%d@example.com"},"note":"%s"}`,
		i, i, i, i, bytes.Repeat([]byte("x"), max(1, size-100)))
}

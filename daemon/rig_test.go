package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	pgtest.WaitTogether()
	pgtest.Main(m)
}

// patience bounds every wait of the tests: reaching it is a failure.
const testPatience = 60 * time.Second

// rig is a test's ground: a database with an outbox, a receiver, and a configuration that joins them.
type rig struct {
	t        testing.TB
	db       *pgtest.Database
	pool     *pgxpool.Pool
	receiver *receiver
	mu       sync.Mutex
	hcl      string
}

// newRig makes a rig whose configuration is hcl with {url} replaced by the receiver's, plus what every one needs.
func newRig(t testing.TB, hcl string) *rig {
	t.Helper()
	return newRigOn(t, pgtest.New(t), hcl)
}

func newRigOn(t testing.TB, db *pgtest.Database, hcl string) *rig {
	t.Helper()
	r := &rig{t: t, db: db, receiver: newReceiver(t)}
	r.db.Outbox(t)
	r.pool = r.db.Pool(t)
	r.edit(hcl)
	return r
}

// edit replaces the configuration's text; a running daemon sees it when it is reloaded.
func (r *rig) edit(hcl string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hcl = "database { url = env(\"DATABASE_URL\") }\n" + strings.ReplaceAll(hcl, "{url}", r.receiver.server.URL)
	if !strings.Contains(hcl, "outbox {") {
		r.hcl += fmt.Sprintf("\noutbox { slot = %q }\n", r.db.Name)
	}
}

func (r *rig) load() (*config.Config, hcl.Diagnostics) { return r.loadFrom(r.db.URL) }

// loadFrom is load for a daemon that connects to the database by another address.
func (r *rig) loadFrom(database string) (*config.Config, hcl.Diagnostics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	env := func(name string) (string, bool) { return database, name == "DATABASE_URL" }
	return config.Parse(map[string][]byte{"walpost.hcl": []byte(r.hcl)}, config.WithEnv(env))
}

// config is the configuration as it is now, which must be good.
func (r *rig) config() *config.Config {
	r.t.Helper()
	cfg, diagnostics := r.load()
	if diagnostics.HasErrors() {
		r.t.Fatalf("configuration: %v", diagnostics)
	}
	return cfg
}

// running is a daemon that runs.
type running struct {
	*Daemon
	t      testing.TB
	cancel context.CancelFunc
	ended  chan error
	once   sync.Once
}

// start runs a daemon until the test or stop ends it, and returns when it streams.
func (r *rig) start(change ...func(*Options)) *running {
	r.t.Helper()
	d := r.make(change...)
	select {
	case <-d.Ready():
	case err := <-d.ended:
		r.t.Fatalf("daemon ended: %v", err)
	case <-time.After(testPatience):
		r.t.Fatal("daemon isn't ready")
	}
	return d
}

func (r *rig) make(change ...func(*Options)) *running {
	r.t.Helper()
	o := Options{
		Config: r.config(), Load: r.load, Version: "test", CheckpointEvery: 20 * time.Millisecond,
		Logger: zerolog.New(zerolog.NewTestWriter(r.t)).Level(zerolog.InfoLevel),
	}
	for _, c := range change {
		c(&o)
	}
	d, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Daemon: d, t: r.t, cancel: cancel, ended: make(chan error, 1)}
	go func() { run.ended <- d.Run(ctx) }()
	r.t.Cleanup(func() { run.Abort(); _ = run.stop() })
	return run
}

// stop is the first signal, and gives what Run returned.
func (d *running) stop() (err error) {
	d.once.Do(func() {
		d.cancel()
		select {
		case err = <-d.ended:
		case <-time.After(testPatience):
			d.t.Error("daemon doesn't end")
		}
	})
	return err
}

// mustStop is stop, where it must end well.
func (d *running) mustStop() {
	d.t.Helper()
	if err := d.stop(); err != nil {
		d.t.Fatalf("daemon ended with: %v", err)
	}
}

// insert commits events in one transaction.
func (r *rig) insert(events ...outbox.Event) {
	r.t.Helper()
	if err := outbox.Insert(context.Background(), r.pool, events...); err != nil {
		r.t.Fatal(err)
	}
}

// tagged is an event with an id that its aggregate names.
func tagged(id string) outbox.Event {
	return outbox.Event{
		AggregateType: "contact", AggregateID: id, Type: "contact.tagged",
		Payload: map[string]any{"contact": map[string]any{"id": id, "name": "Ada " + id}, "tag": map[string]any{"name": "vip"}},
	}
}

// scan reads one row.
func (r *rig) scan(sql string, args []any, into ...any) {
	r.t.Helper()
	if err := r.pool.QueryRow(context.Background(), sql, args...).Scan(into...); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// count counts the rows of a table or of what follows `from`.
func (r *rig) count(from string) (n int) {
	r.t.Helper()
	r.scan("select count(*) from "+from, nil, &n)
	return n
}

// until waits until a query gives true. It asks again whenever the receiver has answered something or a short time
// has passed: what it waits for is a commit of another session, which gives no other signal.
func (r *rig) until(sql string, args ...any) {
	r.t.Helper()
	deadline := time.Now().Add(testPatience)
	for {
		var ok bool
		r.scan(sql, args, &ok)
		if ok {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("never true: %s", sql)
		}
		r.scan("select pg_sleep(0.01) is null", nil, &ok)
	}
}

// request is what the receiver got.
type request struct {
	path, id, topic, attempt, method string
	header                           http.Header
	body                             []byte
}

func (r request) json(t testing.TB) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("body %q: %v", r.body, err)
	}
	return v
}

// receiver records requests and answers as told, 200 by default.
type receiver struct {
	t      testing.TB
	server *httptest.Server
	got    chan request
	mu     sync.Mutex
	answer http.HandlerFunc
	closed chan struct{}
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{t: t, got: make(chan request, 200_000), closed: make(chan struct{})}
	r.server = httptest.NewServer(r)
	t.Cleanup(func() { close(r.closed); r.server.Close() })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.t.Error(err)
	}
	h := req.Header
	r.got <- request{
		path: req.URL.Path, id: h.Get("webhook-id"), topic: h.Get("webhook-topic"), attempt: h.Get("webhook-attempt"),
		method: req.Method, header: h, body: body,
	}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		req.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, req)
	}
}

// answers sets how requests are answered from now on.
func (r *receiver) answers(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

// status answers with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hang answers nothing until the client or the test gives up.
func (r *receiver) hang(_ http.ResponseWriter, req *http.Request) {
	select {
	case <-req.Context().Done():
	case <-r.closed:
	}
}

// holding answers nothing until release is closed, or the client or the test gives up, and then as told; nil: 200.
func (r *receiver) holding(release <-chan struct{}, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		select {
		case <-release:
		case <-req.Context().Done():
		case <-r.closed:
		}
		if then != nil {
			then(w, req)
		}
	}
}

// next waits for a request.
func (r *receiver) next() request {
	r.t.Helper()
	select {
	case got := <-r.got:
		return got
	case <-time.After(testPatience):
		r.t.Fatal("no request arrives")
		return request{}
	}
}

// none checks that nothing has arrived that wasn't taken with next.
func (r *receiver) none() {
	r.t.Helper()
	select {
	case got := <-r.got:
		r.t.Fatalf("unexpected request: %s %s attempt %s %s", got.path, got.topic, got.attempt, got.body)
	default:
	}
}

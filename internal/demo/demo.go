// Package demo shows walpost at work: a throw-away Postgres, a sample application that inserts outbox rows
// for all 27 topics of the built-in pack, a receiver that answers well, slowly, with 500 and with 410, and
// walpost itself between them, with an ordinary configuration.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/sender"
)

//go:embed demo.hcl
var configuration string

const (
	// onceLives is how many lives `--once` plays, with a pause after each transaction so that one can watch.
	onceLives = 2
	oncePause = 50 * time.Millisecond
	livePause = 400 * time.Millisecond
	// patience is how long `--once` waits for what is due after the last transaction.
	patience = time.Minute
	// lastPatience is how long Ctrl-C waits for what was committed just before.
	lastPatience = 5 * time.Second
	// endTimeout bounds the reading of the ledger, and each part's stop.
	endTimeout = 20 * time.Second
)

// Run runs the demo until ctx ends or, with Once, until everything has arrived. It leaves no process and no
// file behind. The error is ctx's if it ended before Run was done (without Once that is only so before the
// traffic starts), an *IncompleteError if something is missing, or what kept the demo from running: a *SetupError
// where no Postgres can run.
func Run(ctx context.Context, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	d := &demo{options: o, screen: &screen{out: o.Out, color: o.Color, width: o.Width}}
	d.introduce()
	err := d.run(ctx)
	if err == nil && !o.Once {
		d.farewell()
	}
	return err
}

// IncompleteError says what `--once` found missing.
type IncompleteError struct {
	Problems []string // one sentence each
}

// Error names every problem.
func (e *IncompleteError) Error() string {
	return "the demo is incomplete: " + strings.Join(e.Problems, "; ")
}

// SetupError says why no throw-away Postgres can run on this machine (Problem) and what to do about it (Fix).
type SetupError = pgembed.SetupError

// demo has the parts in the order in which they are started. Each is stopped after those that follow it.
type demo struct {
	options  Options
	screen   *screen
	database *database
	conn     *pgx.Conn // the application's
	config   *config.Config
	books    *books
	journal  *journal
}

func (d *demo) introduce() {
	d.screen.say("%s %s", d.screen.styled(cell{"walpost demo", bold}), d.options.Version)
	d.screen.say("On this machine, while it runs: a Postgres, an application, five endpoints.")
	d.screen.title("walpost.hcl")
	d.screen.source(configuration)
	d.screen.title("Start")
}

// run starts Postgres and the application's tables, and goes on with what needs them.
func (d *demo) run(ctx context.Context) (err error) {
	progress := zerolog.New(d.screen.logWriter()).Level(zerolog.InfoLevel) // a download takes a while
	if d.database, err = startDatabase(ctx, progress); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(d.database.stop)) }()

	if d.conn, err = pgx.Connect(ctx, d.database.url); err != nil {
		return fmt.Errorf("connect the sample application: %w", err)
	}
	defer func() { err = errors.Join(err, end(d.conn.Close)) }()

	if d.journal, err = openJournal(&d.options, d.database.dir, d.screen); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.journal.file.Close()) }()
	return d.receive(ctx)
}

// end stops a part, in its own time: ctx has ended by then, perhaps.
func end(stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	return stop(ctx)
}

// receive reads the configuration, starts the receiver and goes on with walpost.
func (d *demo) receive(ctx context.Context) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	secret := sender.NewSecret()
	receiver, err := newReceiver(listener, secret)
	if err != nil {
		return err
	}
	if err := d.configure(receiver.url, secret); err != nil {
		return errors.Join(err, listener.Close())
	}
	d.books = newBooks(d.config.Webhooks)
	receiver.serve(func(a *arrival) { d.screen.arrival(a, d.books.arrived(a), d.then(a)) })
	defer func() { err = errors.Join(err, end(receiver.close)) }()
	return d.deliver(ctx)
}

// configure loads the configuration as walpost does, from a file and an environment.
func (d *demo) configure(receiver, secret string) error {
	path := filepath.Join(d.database.dir, "walpost.hcl")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	environment := map[string]string{"DATABASE_URL": d.database.url, "RECEIVER_URL": receiver, "WEBHOOK_SECRET": secret}
	cfg, diags := config.Load(path, config.WithEnv(func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	}))
	if diags.HasErrors() {
		return fmt.Errorf("load the configuration: %w", diags)
	}
	d.config = cfg
	return nil
}

// then says what follows from an answer.
func (d *demo) then(a *arrival) string {
	switch {
	case a.forged:
		return "bad signature"
	case a.status == statusGone:
		return "disabled"
	case a.status/100 == 5:
		if retry := d.config.Webhook(a.webhook).Retry; a.attempt >= 1 && a.attempt <= len(retry) {
			return "again in " + retry[a.attempt-1].String()
		}
	case a.took >= slowness:
		return "after " + shortly(a.took)
	}
	return ""
}

// deliver makes the application's tables, lets walpost work while the traffic lasts, and draws up the balance.
func (d *demo) deliver(ctx context.Context) error {
	app := &application{conn: d.conn, books: d.books, rolledBack: d.screen.rolledBack}
	if err := app.install(ctx); err != nil {
		return err
	}
	walpost, err := daemon.New(daemon.Options{Config: d.config, Version: d.options.Version, Logger: d.journal.log})
	if err != nil {
		return fmt.Errorf("start walpost: %w", err)
	}
	work := launch(walpost)
	err = d.traffic(ctx, app, work)
	if failure := work.stop(); failure != nil {
		d.journal.tail(d.screen)
		return fmt.Errorf("run walpost: %w", failure)
	}
	if err != nil {
		return err
	}
	return d.conclude()
}

// traffic runs the application for as long as the demo lasts, and returns nil when the balance may be drawn up.
func (d *demo) traffic(ctx context.Context, app *application, work *work) error {
	alive, cancel := work.during(ctx)
	defer cancel()
	select {
	case <-work.daemon.Ready():
	case <-alive.Done():
		return alive.Err()
	}
	if d.options.Once {
		d.screen.title("What arrives")
		d.screen.liveHeader()
		if err := app.run(alive, onceLives, oncePause); err != nil {
			return err
		}
		// If something doesn't arrive, the balance tells what.
		_ = d.books.wait(alive, patience, settled)
		return alive.Err()
	}
	d.screen.title("What arrives, until you press Ctrl-C")
	d.screen.say("Look into the ledger meanwhile: psql '%s' -c 'table walpost.deliveries'", d.database.url)
	d.screen.liveHeader()
	if err := app.run(alive, 0, livePause); !errors.Is(err, context.Canceled) {
		return err
	}
	// What is committed shall have been tried once; what is owed then is in the ledger.
	alive, cancel = work.during(context.WithoutCancel(ctx))
	defer cancel()
	_ = d.books.wait(alive, lastPatience, attempted)
	return nil
}

// conclude shows the balance and, with Once, judges it.
func (d *demo) conclude() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	ledger, err := readFacts(ctx, d.conn)
	if err != nil {
		return err
	}
	s := summarize(d.books, ledger)
	s.show(d.screen, d.config)
	if !d.options.Once {
		return nil
	}
	if problems := s.problems(d.config); len(problems) > 0 {
		d.journal.tail(d.screen)
		return &IncompleteError{Problems: problems}
	}
	return nil
}

// farewell says where to go next.
func (d *demo) farewell() {
	d.screen.title("Next, with your own Postgres")
	d.screen.say("  1  walpost init     makes outbox table, publication, slot and ledger, and a walpost.hcl to start from")
	d.screen.say("  2  walpost check    finds every problem in walpost.hcl; add your webhooks there")
	d.screen.say("  3  walpost run      delivers what your application inserts into the outbox")
}

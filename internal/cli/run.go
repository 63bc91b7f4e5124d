package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/admin"
)

func (a *app) runCommand() *cobra.Command {
	var poll time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Follow the outbox and deliver webhooks",
		Long: `Follow the outbox table and deliver webhooks until SIGINT or SIGTERM. Makes
publication, slot and ledger where they are missing and it may; the outbox table
is made by walpost init.

The first signal drains: nothing new is taken, what waits is recorded, running
attempts may end. The second gives running attempts up.

The configuration is read anew when its content changes (looked at every --poll, so
that mounted files such as a Kubernetes ConfigMap work), at SIGHUP, and at
POST /-/reload of the admin server. One with errors changes nothing.`,
		Example: `  walpost run
  walpost run -c /etc/walpost --log-level debug
  kill -HUP $(pidof walpost)      # reload`,
		Args: noArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := a.logger(cmd)
		if err != nil {
			return err
		}
		if poll < 0 {
			return usage("walpost run --poll 10s", "--poll is %s, and a negative time means nothing: 0 switches it off", poll)
		}
		defer limitMemory(a.LookupEnv)()
		return a.run(cmd.Context(), poll, log)
	}
	cmd.Flags().DurationVar(&poll, "poll", 10*time.Second, "look so often whether the configuration's content has changed, and reload; 0: never")
	a.addLogFlags(cmd)
	return cmd
}

// run makes the daemon and its admin server, and works until a signal or an error ends it.
func (a *app) run(ctx context.Context, poll time.Duration, log zerolog.Logger) error {
	path, err := a.locate()
	if err != nil {
		return err
	}
	l := &live{path: path, env: a.env()}
	cfg, diagnostics := l.load()
	if diagnostics.HasErrors() {
		return a.refuse(cfg.Files, diagnostics)
	}
	logDiagnostics(log, diagnostics)
	if poll == 0 {
		poll = -1 // what daemon calls never
	}
	l.daemon, err = daemon.New(daemon.Options{
		Config: cfg, Load: l.load, Fingerprint: l.fingerprint, PollEvery: poll, Version: buildVersion(), Logger: log,
	})
	if err != nil {
		return a.invalid(err)
	}
	server, err := l.serve(ctx, cfg.Admin, log)
	if err != nil {
		return err
	}
	defer l.close()
	err = a.operate(ctx, l, server, log)
	if interrupted(ctx) && errors.Is(err, context.Canceled) {
		err = nil // stopped before there was anything to drain
	}
	if err != nil {
		return explain(err)
	}
	if a.signals.wasAborted() {
		return &failure{code: exitInterrupted}
	}
	return nil
}

// operate runs the daemon, and beside it what listens to the outside. The admin server outlives the daemon, to
// tell of its end.
func (a *app) operate(ctx context.Context, l *live, server *admin.Server, log zerolog.Logger) error {
	work, stopWork := context.WithCancel(ctx)
	defer stopWork()
	beside, stopBeside := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeside()

	hangups := make(chan struct{}, 1)
	a.signals.hooks(l.daemon.Abort, func() {
		select {
		case hangups <- struct{}{}:
		default: // one is waiting already
		}
	})
	defer a.signals.hooks(nil, nil)

	var wg sync.WaitGroup
	var serveErr error
	wg.Go(func() { l.reloadOn(beside, hangups, log) })
	wg.Go(func() { l.announce(beside, log) })
	if server != nil {
		wg.Go(func() {
			if serveErr = server.Run(beside); serveErr != nil {
				stopWork()
			}
		})
	}
	err := l.daemon.Run(work)
	stopBeside()
	wg.Wait()
	return errors.Join(err, serveErr)
}

// serve makes the admin server, if the configuration has one.
func (l *live) serve(ctx context.Context, o *config.Admin, log zerolog.Logger) (*admin.Server, error) {
	if o == nil {
		return nil, nil
	}
	if err := l.openLedger(ctx); err != nil {
		return nil, err
	}
	server, err := admin.New(admin.Options{Listen: o.Listen, Token: o.Token.Reveal(), Daemon: l, Logger: log})
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = failed("stop what listens there (another walpost?), or change admin.listen",
			"the admin address %s is in use", o.Listen)
	case err != nil:
		err = failed("correct admin.listen, host:port", "%v", err)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	log.Info().Str("url", fmt.Sprintf("http://%s", server.Addr())).Msg("admin server listens")
	return server, nil
}

package cli

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
)

// live is a running daemon. Signals and the admin server act on it.
type live struct {
	path   string // of the configuration
	env    config.Option
	daemon *daemon.Daemon
	ledger *ledger.Ledger // for the admin server alone; nil without one
}

// load reads the configuration, for the daemon.
func (l *live) load() (*config.Config, hcl.Diagnostics) { return config.Load(l.path, l.env) }

// fingerprint tells its contents apart, for the daemon.
func (l *live) fingerprint() (string, error) { return daemon.Fingerprint(l.path) }

// openLedger opens a pool of our own, so that the daemon's is never busy with answers.
func (l *live) openLedger(ctx context.Context) error {
	book, err := ledger.Open(ctx, ledger.Options{ConnString: l.daemon.Config().Database.URL.Reveal()})
	l.ledger = book
	return err
}

func (l *live) close() {
	if l.ledger != nil {
		l.ledger.Close()
	}
}

// reloadOn reloads at each SIGHUP. An error is logged, and all goes on as before.
func (l *live) reloadOn(ctx context.Context, hangups <-chan struct{}, log zerolog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		err := l.daemon.Reload(ctx)
		var refused *daemon.ConfigError
		switch {
		case errors.As(err, &refused):
			logDiagnostics(log, refused.Diagnostics)
			log.Error().Str("try", "walpost check").Msg("reload refused: the old configuration stays in force")
		case err != nil:
			log.Error().Err(err).Msg("reload refused: the old configuration stays in force")
		}
	}
}

// logDiagnostics logs one line for each problem of a configuration.
func logDiagnostics(log zerolog.Logger, diagnostics hcl.Diagnostics) {
	for _, d := range diagnostics {
		level := zerolog.WarnLevel
		if d.Severity == hcl.DiagError {
			level = zerolog.ErrorLevel
		}
		line := log.WithLevel(level).Str("summary", d.Summary).Str("detail", d.Detail)
		if d.Subject != nil {
			line = line.Str("file", d.Subject.Filename).Int("line", d.Subject.Start.Line)
		}
		line.Msg("configuration")
	}
}

// announce logs what is followed, once it is.
func (l *live) announce(ctx context.Context, log zerolog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-l.daemon.Ready():
	}
	cfg := l.daemon.Config()
	log.Info().Str("version", buildVersion()).Str("config", l.path).
		Str("table", tableName(cfg.Outbox.Table)).Str("slot", cfg.Outbox.Slot).Str("publication", cfg.Outbox.Publication).
		Int("webhooks", len(cfg.Webhooks)).Int("topics", len(cfg.Topics)).Int("rules", len(cfg.Rules)).
		Msg("started")
}

// pingTimeout is how long the ledger may take to be called reachable.
const pingTimeout = 2 * time.Second

// Ready implements admin.Daemon. One that stands by is as ready as the leader.
func (l *live) Ready(ctx context.Context) error {
	status := l.daemon.Status()
	if status.Lead.Role != daemon.Standby && !status.Stream.Connected {
		return errors.New("no connection to the replication slot")
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if _, err := l.ledger.Webhooks(ctx); err != nil {
		return errors.New("the ledger can't be reached")
	}
	return nil
}

// Status implements admin.Daemon.
func (l *live) Status(ctx context.Context) (admin.Report, error) {
	report, err := readReport(ctx, l.ledger, l.daemon.Config())
	if err != nil {
		return report, explain(err)
	}
	status := l.daemon.Status()
	if status.Reload != nil && status.Reload.Error != "" {
		report.Attention = append(report.Attention, "the configuration that was read at "+moment(status.Reload.At)+
			" can't be used, and the one before stays in force: "+redact(status.Reload.Error))
	}
	report.Daemon = status
	return report, nil
}

// Reload implements admin.Daemon.
func (l *live) Reload(ctx context.Context) error {
	err := l.daemon.Reload(ctx)
	var refused *daemon.ConfigError
	if !errors.As(err, &refused) {
		return err
	}
	document, encodeErr := config.DiagnosticsJSON(refused.Files, refused.Diagnostics)
	if encodeErr != nil {
		return errors.Join(err, encodeErr)
	}
	return &admin.RejectedError{Diagnostics: document, Err: err}
}

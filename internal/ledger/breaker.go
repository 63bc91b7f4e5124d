package ledger

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/breakers_save.sql
	breakersSaveSQL string
	//go:embed sql/breakers.sql
	breakersSQL string
)

// OpenBreaker is a webhook whose endpoint seems dead to a daemon.
type OpenBreaker struct {
	Webhook string
	Since   time.Time // by the clock of whoever says it; as read, by the ledger's
	Why     string    // class of the failure that opened it, e.g. timeout
	Daemon  string    // the daemon's name, as read
}

// SaveBreakers makes these the open breakers of the daemon of that tag ([Title]), for Status to show. It is to be called when
// they change, and each hour while there are some.
func (l *Ledger) SaveBreakers(ctx context.Context, tag string, open []OpenBreaker) error {
	webhooks, whys := make([]string, len(open)), make([]string, len(open))
	since := make([]time.Duration, len(open))
	for i, b := range open {
		webhooks[i], since[i], whys[i] = b.Webhook, time.Since(b.Since), b.Why
	}
	if _, err := l.pool.Exec(ctx, breakersSaveSQL, tag, webhooks, since, whys); err != nil {
		return fmt.Errorf("save open breakers: %w", err)
	}
	return nil
}

// breakers gives those of the daemons, by webhook.
func (l *Ledger) breakers(ctx context.Context, peers []Peer) ([]OpenBreaker, error) {
	names, tags := make(map[string]string, len(peers)), make([]string, len(peers))
	for i := range peers {
		tags[i], names[peers[i].Tag] = peers[i].Tag, peers[i].Name
	}
	rows, _ := l.pool.Query(ctx, breakersSQL, tags)
	open, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b OpenBreaker, err error) {
		err = row.Scan(&b.Webhook, &b.Daemon, &b.Since, &b.Why)
		b.Since, b.Daemon = b.Since.UTC(), names[b.Daemon]
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("read open breakers: %w", err)
	}
	return open, nil
}

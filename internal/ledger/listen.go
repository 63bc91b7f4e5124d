package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Listen calls changed whenever a command or another daemon has changed what this one should look at, and once after each
// connect, since what was said before can't be heard. It has a connection of its own, connects again for ever, and returns
// nil when ctx ends. changed must not block.
func (l *Ledger) Listen(ctx context.Context, changed func()) error {
	config := l.pool.Config().ConnConfig
	lost := time.Time{}
	for try := 0; ; try++ {
		err := listen(ctx, config, func() {
			if !lost.IsZero() {
				l.options.Logger.Info().Dur("after", time.Since(lost)).Msg("listening to the ledger again")
			}
			lost, try = time.Time{}, 0
			changed()
		})
		if ctx.Err() != nil {
			return nil
		}
		if lost.IsZero() {
			lost = time.Now()
			l.options.Logger.Warn().Err(err).Msg("can't listen to the ledger; trying again until it can be")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff(try)):
		}
	}
}

// listen holds one connection until it breaks. heard is called once it listens, and for each notification.
func listen(ctx context.Context, config *pgx.ConnConfig, heard func()) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it is broken, or of no more use
	if _, err := conn.Exec(ctx, "listen walpost"); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		heard()
		if err := awaitNotification(ctx, conn); err != nil {
			return fmt.Errorf("wait for a notification: %w", err)
		}
	}
}

// listenPing is how often a silent connection is asked whether there is still a server. It is below readLimit.
const listenPing = 20 * time.Second

func awaitNotification(ctx context.Context, conn *pgx.Conn) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, listenPing)
		_, err := conn.WaitForNotification(waiting)
		silent := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		if !silent {
			return err
		}
		if err := conn.Ping(ctx); err != nil {
			return err
		}
	}
}

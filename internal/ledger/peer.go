package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Peer is one of the daemons that share a slot, as the server sees it.
type Peer struct {
	Title
	Leads bool
	Since time.Time // when it joined; zero: our role may not see it
	Seen  time.Time // when it was heard of last; zero: as Since, or the server doesn't track it
	Now   time.Time // the server's clock

	pid         int32
	application string
	idle        bool // of our role, and the server waits for it
}

// Silent is how long it was not heard of, by the server's clock.
func (p *Peer) Silent() time.Duration {
	if p.Seen.IsZero() {
		return 0
	}
	return max(0, p.Now.Sub(p.Seen))
}

// Peers gives the daemons of a slot, the leader first, then those that stand by, in the order in which they joined.
func (l *Ledger) Peers(ctx context.Context, slot string) ([]Peer, error) {
	return readPeers(ctx, l.pool, slot)
}

type sessionOrPool interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readPeers(ctx context.Context, on sessionOrPool, slot string) ([]Peer, error) {
	rows, _ := on.Query(ctx, membersSQL, memberKey(slot), leaderKey(slot))
	peers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Peer, error) {
		var p Peer
		var application *string
		var since, seen *time.Time
		err := row.Scan(&p.pid, &application, &p.Leads, &since, &seen, &p.idle, &p.Now)
		p.application, p.Since, p.Seen = textOf(application), timeOf(since), timeOf(seen)
		p.Title = readTitle(p.application)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the daemons of slot %q: %w", slot, err)
	}
	return peers, nil
}

// Title tells daemons apart. Its text form is the application_name of their sessions.
type Title struct {
	Name    string // for people, e.g. host:pid
	Version string
	Tag     string // of this start of the daemon, unlike any other's
}

const (
	product = "walpost/"
	// maxTitle is what Postgres keeps of an application_name, in bytes.
	maxTitle = 63
)

// String is "walpost/<version> <tag> <name>", in the characters and the length that Postgres keeps of an application_name.
func (t Title) String() string {
	text := product + word(t.Version) + " " + word(t.Tag) + " " + t.Name
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), maxTitle)]
}

// word is the text as one word, short enough to leave room for the others.
func word(text string) string {
	text = strings.Join(strings.Fields(text), "-")
	const most = 20
	return text[:min(len(text), most)]
}

// readTitle is the title of which text is the String; another text is all name.
func readTitle(text string) Title {
	parts := strings.SplitN(text, " ", 3)
	version, ours := strings.CutPrefix(parts[0], product)
	if !ours || len(parts) < 3 {
		return Title{Name: text}
	}
	return Title{Version: version, Tag: parts[1], Name: parts[2]}
}

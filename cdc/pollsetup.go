package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// pollableVersion is the first Postgres with xid8 columns.
const pollableVersion = 130000

// PollSetup checks what a Poller needs, as Run does first, and changes nothing. It gives what a first start would begin
// after. What polling can't do without is a SetupError.
func PollSetup(ctx context.Context, o PollOptions) (Identity, error) {
	o.Lead, o.Resume, o.Start = nil, nil, StartNow
	p, err := NewPoller(o)
	if err != nil {
		return Identity{}, err
	}
	s := &polling{Poller: p}
	if err := s.connect(ctx); err != nil {
		return Identity{}, err
	}
	defer closeOrdinary(ctx, s.conn)
	identity, err := s.identify(ctx)
	if err != nil {
		return identity, err
	}
	return identity, s.begin(ctx, nil, &identity)
}

// check makes sure that the table can be polled, and learns its columns.
func (s *polling) check(ctx context.Context, version int) error {
	if version < pollableVersion {
		return &SetupError{
			Problem: fmt.Sprintf("the server is Postgres %d, which has no type xid8", version/10000),
			Fix:     "polling needs Postgres 13 or later",
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	t, err := checkTable(ctx, s.conn, s.opts.Options)
	if err != nil {
		return s.classify(err)
	}
	type document struct {
		Type, Default string
		NotNull       bool `json:"not_null"`
		IDNotNull     bool `json:"id_not_null"`
		Index         bool
		Added         int64
	}
	found, ok, err := query[document](ctx, s.conn, "poll_table", strconv.FormatUint(uint64(t.OID), 10), s.opts.XID, s.opts.ID)
	if err != nil {
		return s.classify(err)
	}
	refuse := func(problem, fix string) error {
		return &SetupError{Problem: fmt.Sprintf("table %s.%s cannot be polled: %s", s.opts.Schema, s.opts.Table, problem), Fix: fix}
	}
	xid, id, table := quoteIdentifier(s.opts.XID), quoteIdentifier(s.opts.ID), s.table()
	switch {
	case !ok:
		return refuse(fmt.Sprintf("it has no column %q", s.opts.ID), "name the column of the ids in the configuration")
	case found.Type == "":
		return refuse(fmt.Sprintf("it has no column %q", s.opts.XID),
			fmt.Sprintf("alter table %s add column %s xid8 not null default pg_current_xact_id(); which rewrites nothing, then create index concurrently on %s (%s, %s);",
				table, xid, table, xid, id))
	case found.Type != "xid8" || !found.NotNull || !strings.Contains(found.Default, "pg_current_xact_id()"):
		return refuse(fmt.Sprintf("column %q is not xid8 not null default pg_current_xact_id()", s.opts.XID),
			fmt.Sprintf("alter table %s drop column %s, add column %s xid8 not null default pg_current_xact_id();", table, xid, xid))
	case !found.IDNotNull:
		return refuse(fmt.Sprintf("column %q may be null", s.opts.ID), fmt.Sprintf("alter table %s alter column %s set not null;", table, id))
	case !found.Index:
		return refuse("there is no index to find new rows by", fmt.Sprintf("create index concurrently on %s (%s, %s);", table, xid, id))
	}
	s.version, s.added = version, found.Added
	wanted := append(slices.Clone(s.opts.Columns), s.opts.ID)
	s.relation = t.relation(s.opts.Options, wanted)
	s.id = slices.IndexFunc(s.relation.Columns, func(c Column) bool { return c.Name == s.opts.ID })
	if s.id < 0 {
		return refuse(fmt.Sprintf("column %q is generated", s.opts.ID), "use an ordinary column for the ids")
	}
	return nil
}

// classify says what an error of the server means for polling. What it doesn't know stays retryable.
func (s *polling) classify(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != stateInsufficientRights {
		return err
	}
	return &SetupError{
		Problem: fmt.Sprintf("the role may not read all rows of table %s.%s", s.opts.Schema, s.opts.Table),
		Fix: fmt.Sprintf("grant select on table %s to %s; and let it pass row-level security (alter role … bypassrls;)",
			s.table(), roleOf(s.opts.Options)),
		Err: err,
	}
}

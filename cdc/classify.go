package cdc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/pglogin"
)

// SQLSTATEs that mean something to a consumer of logical replication.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	stateProtocolViolation   = "08P01"
	stateInvalidAuth         = "28000"
	stateInvalidPassword     = "28P01"
	stateInvalidCatalog      = "3D000"
	stateInsufficientRights  = "42501"
	stateUndefinedObject     = "42704"
	stateDuplicateObject     = "42710"
	stateLimitExceeded       = "53400"
	stateNotInPrerequisite   = "55000"
	stateObjectInUse         = "55006"
	stateLockNotAvailable    = "55P03"
	stateUndefinedFile       = "58P01"
	stateQueryCanceled       = "57014"
	textUnsupportedParameter = "startup parameter"
)

// classifyConnect classifies the failure of a login. Until one has succeeded, a refused login means that the
// connection string is wrong; afterwards it is taken for a passing state of the server, such as a restore.
func classifyConnect(err error, o Options, established bool) error {
	if errors.Is(err, pgconn.ErrStandbyConnection) || errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return fmt.Errorf("wait for a primary: %w", err)
	}
	if established {
		return classify(err, o)
	}
	if pglogin.DisagreesOnTLS(err) {
		return &SetupError{
			Problem: "the server and the connection string disagree about TLS",
			Fix:     "set sslmode (and sslrootcert) in the connection string to what the server offers",
			Err:     err,
		}
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	refused := &SetupError{
		Problem: "the server refuses the login",
		Fix:     "correct user and password in the connection string; pg_hba.conf must let the role connect to the database, which needs the right to connect",
		Err:     err,
	}
	switch pg.Code {
	case stateInvalidPassword, stateInvalidAuth:
		return refused
	case stateInsufficientRights:
		if why := classify(err, o); !Retryable(why) {
			return why
		}
		return refused
	case stateInvalidCatalog:
		return &SetupError{
			Problem: "the database of the connection string does not exist",
			Fix:     "correct the database name in the connection string",
			Err:     err,
		}
	}
	return classify(err, o)
}

// classify turns an error of the server into what it means here. It goes by SQLSTATE, and by text only where
// one SQLSTATE means several things. A server with another lc_messages writes that text in another language: then what can't
// be seen in the catalog at the next connect goes by the name of the server's function. What it doesn't know stays
// retryable.
func classify(err error, o Options) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	text := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(pg.Message, part) || strings.Contains(pg.Detail, part) {
				return true
			}
		}
		return false
	}
	switch {
	case pg.Code == stateProtocolViolation && text(textUnsupportedParameter):
		return &SetupError{
			Problem: "a connection pooler is between walpost and Postgres, and it cannot replicate",
			Fix:     "set replication_url to an address that leads to the Postgres server itself",
			Err:     err,
		}
	case pg.Code == stateObjectInUse:
		return fmt.Errorf("%w: %w", ErrSlotActive, err)
	case pg.Code == stateInsufficientRights && text("replication", "REPLICATION", "walsender", "WAL sender"):
		return &SetupError{
			Problem: "the role may not replicate",
			Fix:     fmt.Sprintf("alter role %s with replication; (as a superuser; on Amazon RDS: grant rds_replication to …)", roleOf(o)),
			Err:     err,
		}
	case pg.Code == stateLimitExceeded:
		return &SetupError{
			Problem: "all replication slots of the server are in use",
			Fix:     "alter system set max_replication_slots = …; and restart, or drop a slot that nobody reads: select slot_name, active from pg_replication_slots;",
			Err:     err,
		}
	case pg.Code == stateNotInPrerequisite && text("can no longer get changes", "can no longer access", "has been invalidated"),
		pg.Code == stateUndefinedFile && text("WAL segment"):
		return slotLost(o, slotInvalidated, err)
	case pg.Code == stateNotInPrerequisite && text("wal_level"):
		return walLevel("", err)
	case pg.Code == stateNotInPrerequisite && text("was not created in this database"):
		return foreignSlot(o, "it was created in another database", err)
	case pg.Code == stateUndefinedObject && (text("publication") || strings.Contains(pg.Routine, "publication")):
		return publicationLost(o, notAtPosition(o.Publication), err)
	}
	return err
}

// slotInvalidated is the problem when the server has given the slot up.
const slotInvalidated = "the server has invalidated the replication slot"

// acquireError passes the caller's own classification on.
func acquireError(err error) error { return fmt.Errorf("take the slot over: %w", err) }

// slotLost is the loss of what the slot had not sent.
func slotLost(o Options, problem string, cause error) error {
	return &SetupError{
		Problem: fmt.Sprintf("%s: slot %q", problem, o.Slot),
		Fix:     "walpost run makes the slot anew, and reads from the table what the lost one had not sent",
		Err:     joinCause(ErrSlotLost, cause),
	}
}

// slotMoved is the loss of what was between the checkpoint and where somebody has moved the slot to.
func slotMoved(o Options, where string) error {
	return &SetupError{
		Problem:   fmt.Sprintf("the replication slot was moved %s: slot %q", where, o.Slot),
		Fix:       "walpost run reads from the table what was passed over",
		Err:       ErrSlotLost,
		keepsSlot: true,
	}
}

// undecidable is a loss that can't be recovered, because nothing tells what was dealt with.
func undecidable(lost error) error {
	var setup *SetupError
	if !errors.As(lost, &setup) {
		return lost
	}
	return &SetupError{
		Problem: setup.Problem,
		Fix: "the checkpoint has no snapshot that tells which rows were dealt with, so decide: walpost adopt --start backlog delivers all rows " +
			"of the table, with the same ids as ever, --start now none of them; then walpost run makes a new slot",
		Err: setup.Err,
	}
}

// notAtPosition says that the publication was made after what the slot reads now.
func notAtPosition(publication string) string {
	return fmt.Sprintf("publication %q does not exist at the slot's position in the WAL", publication)
}

func publicationLost(o Options, problem string, cause error) error {
	return &SetupError{
		Problem: problem,
		Fix: fmt.Sprintf("create publication %s for table %s.%s with (publish = 'insert'); unless it is there; walpost run then makes a new slot, "+
			"and reads from the table what was left out of the stream",
			quoteIdentifier(o.Publication), quoteIdentifier(o.Schema), quoteIdentifier(o.Table)),
		Err: joinCause(ErrPublicationLost, cause),
	}
}

func foreignSlot(o Options, problem string, cause error) error {
	return &SetupError{
		Problem: fmt.Sprintf("replication slot %q is not walpost's: %s", o.Slot, problem),
		Fix:     "use another slot name, or drop it if nobody needs it: select pg_drop_replication_slot(" + quoteLiteral(o.Slot) + ");",
		Err:     cause,
	}
}

func walLevel(found string, cause error) error {
	problem := "the server does not write logical WAL"
	if found != "" {
		problem += " (wal_level is " + found + ")"
	}
	return &SetupError{
		Problem: problem,
		Fix:     "alter system set wal_level = 'logical'; and restart the server (on Amazon RDS: rds.logical_replication = 1)",
		Err:     cause,
	}
}

func joinCause(sentinel, cause error) error {
	if cause == nil {
		return sentinel
	}
	return fmt.Errorf("%w: %w", sentinel, cause)
}

// roleOf is the role of the connection string, quoted.
func roleOf(o Options) string {
	config, err := pgconn.ParseConfig(o.ConnString)
	if err != nil {
		return "…"
	}
	return quoteIdentifier(config.User)
}

func quoteIdentifier(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func quoteLiteral(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

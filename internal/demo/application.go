package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/outbox"
)

//go:embed application.sql
var applicationSQL string

// transactionTimeout bounds one transaction. A transaction is never cut off by the demo's end, as it
// would be unknown then whether it is committed.
const transactionTimeout = 10 * time.Second

// change changes the application's tables and gives the event that tells of it.
type change func(*life, context.Context, pgx.Tx) (outbox.Event, error)

// ending is how a transaction ends.
type ending uint8

const (
	commits   ending = iota
	rollsBack        // the application changes its mind
	fails            // a statement after the insert into the outbox violates a constraint
)

// step is one transaction of the sample application.
type step struct {
	change change
	// undone is made in a savepoint of the same transaction, which is rolled back. Nil: none.
	undone change
	ending ending
}

// steps is a life: all 27 topics, and transactions between them that come to nothing.
var steps = []step{
	{change: (*life).createLead},
	{change: (*life).createLeadAgain, ending: fails},
	{change: (*life).visitPage},
	{change: (*life).performEvent},
	{change: (*life).submitForm},
	{change: (*life).submitEmail},
	{change: (*life).subscribe},
	{change: (*life).tag},
	{change: (*life).untag, ending: rollsBack},
	{change: (*life).changePlan},
	{change: (*life).changeEmail},
	{change: (*life).initiate},
	{change: (*life).assign},
	{change: (*life).reply, undone: (*life).note},
	{change: (*life).writeMessage},
	{change: (*life).note},
	{change: (*life).schedule},
	{change: (*life).reschedule},
	{change: (*life).cancel, ending: rollsBack},
	{change: (*life).cancel},
	{change: (*life).closeConversation},
	{change: (*life).openConversation},
	{change: (*life).rate},
	{change: (*life).untag},
	{change: (*life).unsubscribe, undone: (*life).unsubscribeEmails},
	{change: (*life).unsubscribeEmails},
	{change: (*life).createUser},
	{change: (*life).importContact},
	{change: (*life).deleteUser, ending: rollsBack},
	{change: (*life).deleteUser},
	{change: (*life).deleteLead},
}

// application is the sample application. It makes one transaction after the other.
type application struct {
	conn  *pgx.Conn
	books *books
	// rolledBack is told of the topics of each row that was rolled back.
	rolledBack func(topics []string)
}

// install makes the application's tables and its outbox.
func (a *application) install(ctx context.Context) error {
	for _, sql := range []string{applicationSQL, outbox.Table{}.DDL()} {
		if _, err := a.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make the sample application's tables: %w", err)
		}
	}
	return nil
}

// run plays so many lives, 0 for as many as there is time, with a pause after each transaction. It ends
// between two transactions when ctx ends, and gives ctx's error then.
func (a *application) run(ctx context.Context, lives int, pause time.Duration) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for n := 1; lives == 0 || n <= lives; n++ {
		l := newLife(n)
		for _, s := range steps {
			if err := a.play(ctx, l, s); err != nil {
				return fmt.Errorf("sample application: %w", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-ticker.C:
			}
		}
	}
	return nil
}

// play makes one transaction.
func (a *application) play(ctx context.Context, l *life, s step) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionTimeout)
	defer cancel()
	tx, err := a.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // does nothing after the end of the transaction

	kept, err := a.insert(ctx, tx, l, s.change)
	if err != nil {
		return err
	}
	if s.undone != nil {
		if err := a.undo(ctx, tx, l, s.undone); err != nil {
			return err
		}
	}
	if s.ending == fails {
		if _, err := tx.Exec(ctx, takenEmail); !violates(err) {
			return fmt.Errorf("insert a taken email: it is not refused: %w", err)
		}
	}
	if s.ending != commits {
		if err := tx.Rollback(ctx); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
		a.forget(kept)
		return nil
	}
	a.books.committing(kept)
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	a.books.committed(kept)
	return nil
}

// takenEmail inserts a contact whose email another one has.
const takenEmail = `insert into contacts (type, name, email)
	select type, name, email from contacts where email is not null limit 1`

// violates says whether the error is a unique violation.
func violates(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == "23505"
}

// insert makes the change and puts its event into the outbox, in the same transaction: all that an
// application has to do for walpost.
func (a *application) insert(ctx context.Context, tx pgx.Tx, l *life, change change) (*row, error) {
	event, err := change(l, ctx, tx)
	if err != nil {
		return nil, err
	}
	// An application leaves the id to the table. The demo wants to recognize its rows.
	event.ID = uuid.Must(uuid.NewV7()).String()
	r := a.books.open(event)
	if err := outbox.Insert(ctx, tx, event); err != nil {
		return nil, err
	}
	return r, nil
}

// undo makes a change in a savepoint and rolls the savepoint back.
func (a *application) undo(ctx context.Context, tx pgx.Tx, l *life, change change) error {
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	r, err := a.insert(ctx, savepoint, l, change)
	if err != nil {
		return err
	}
	if err := savepoint.Rollback(ctx); err != nil {
		return fmt.Errorf("roll back to savepoint: %w", err)
	}
	a.forget(r)
	return nil
}

func (a *application) forget(r *row) {
	a.books.rolledBack(r)
	a.rolledBack(r.topics)
}

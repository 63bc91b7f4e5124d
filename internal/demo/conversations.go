package demo

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

var agent = teammate{ID: 41, Name: "Mary Jackson", Email: "mary@example.com"}

// initiate opens a conversation with its first message.
func (l *life) initiate(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	err := tx.QueryRow(ctx, `insert into conversations (contact_id, title) values ($1, $2) returning id`,
		l.lead, "Question about plans").Scan(&l.conversation)
	if err != nil {
		return outbox.Event{}, fmt.Errorf("insert conversation: %w", err)
	}
	return l.say(ctx, tx, "conversation.initiated", "reply", l.asAuthor(), "Hi! Which plan has webhooks?")
}

func (l *life) writeMessage(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.say(ctx, tx, "conversation.message_received", "reply", l.asAuthor(), "Great, and how are they signed?")
}

func (l *life) reply(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.say(ctx, tx, "conversation.teammate_replied", "reply", asAuthor(agent), "All of them do.")
}

// note gives its event the short type.
func (l *life) note(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.say(ctx, tx, "note_added", "note", asAuthor(agent), "Wants to see a demo.")
}

func (l *life) assign(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	to := assignee{ID: agent.ID, Type: "teammate", Name: agent.Name}
	if err := update(ctx, tx, `update conversations set assignee = $2 where id = $1`, l.conversation, to); err != nil {
		return outbox.Event{}, err
	}
	return l.ofConversation(ctx, tx, "conversation.assigned", fields{
		"assignee": to, "previous_assignee": nil, "assigned_at": now(),
	})
}

func (l *life) closeConversation(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.setState(ctx, tx, "conversation.closed", "open", "closed", "closed_at")
}

func (l *life) openConversation(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.setState(ctx, tx, "conversation.opened", "closed", "open", "opened_at")
}

func (l *life) setState(ctx context.Context, tx pgx.Tx, eventType, from, to, at string) (outbox.Event, error) {
	if err := update(ctx, tx, `update conversations set state = $2 where id = $1`, l.conversation, to); err != nil {
		return outbox.Event{}, err
	}
	return l.ofConversation(ctx, tx, eventType, fields{"previous_state": from, "actor": agent, at: now()})
}

func (l *life) rate(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	c, err := selectContact(ctx, tx, l.lead)
	if err != nil {
		return outbox.Event{}, err
	}
	return l.ofConversation(ctx, tx, "conversation.rating_left", fields{
		"rating":  rating{Rating: 5, Remark: "Fast and friendly", CreatedAt: now()},
		"contact": c, "teammate": agent,
	})
}

// say inserts a message and makes the event that tells of it.
func (l *life) say(ctx context.Context, tx pgx.Tx, eventType, kind string, by author, body string) (outbox.Event, error) {
	m := message{Type: kind, Author: by, Body: body}
	err := tx.QueryRow(ctx, `insert into messages (conversation_id, type, author, body) values ($1, $2, $3, $4)
		returning id, created_at`, l.conversation, kind, by, body).Scan(&m.ID, &m.CreatedAt)
	if err != nil {
		return outbox.Event{}, fmt.Errorf("insert message: %w", err)
	}
	c, err := selectContact(ctx, tx, l.lead)
	if err != nil {
		return outbox.Event{}, err
	}
	payload := fields{"message": m, "contact": c}
	if by.Type == "teammate" {
		payload["teammate"] = agent
	}
	return l.ofConversation(ctx, tx, eventType, payload)
}

// ofConversation makes an event of the life's conversation, which comes into the payload as it now is.
func (l *life) ofConversation(ctx context.Context, tx pgx.Tx, eventType string, more fields) (outbox.Event, error) {
	c := conversation{ID: l.conversation, Contacts: []ref{{ID: l.lead}}}
	err := tx.QueryRow(ctx, `select title, state, assignee, created_at from conversations where id = $1`, c.ID).
		Scan(&c.Title, &c.State, &c.Assignee, &c.CreatedAt)
	if err != nil {
		return outbox.Event{}, fmt.Errorf("read conversation %d: %w", c.ID, err)
	}
	more["conversation"] = c
	return about("conversation", c.ID, eventType, more), nil
}

func (l *life) asAuthor() author { return author{ID: l.lead, Type: "contact", Name: l.name()} }

func asAuthor(t teammate) author { return author{ID: t.ID, Type: "teammate", Name: t.Name} }

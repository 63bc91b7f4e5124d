package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

const (
	meetingLength = int64(30 * time.Minute / time.Second)
	day           = int64(24 * time.Hour / time.Second)
)

func (l *life) schedule(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	start := now() + day
	err := tx.QueryRow(ctx, `insert into meetings (contact_id, title, start_at, end_at) values ($1, $2, $3, $4) returning id`,
		l.lead, "Demo for "+l.company, start, start+meetingLength).Scan(&l.meeting)
	if err != nil {
		return outbox.Event{}, fmt.Errorf("insert meeting: %w", err)
	}
	return l.ofMeeting(ctx, tx, "meeting.scheduled", func(*meeting) {})
}

// reschedule gives its event the short type.
func (l *life) reschedule(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	const move = `update meetings set start_at = start_at + $2, end_at = end_at + $2 where id = $1`
	if err := update(ctx, tx, move, l.meeting, day); err != nil {
		return outbox.Event{}, err
	}
	return l.ofMeeting(ctx, tx, "rescheduled", func(m *meeting) {
		m.PreviousStartAt, m.PreviousEndAt = new(m.StartAt-day), new(m.EndAt-day)
	})
}

func (l *life) cancel(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	if err := update(ctx, tx, `update meetings set status = 'cancelled' where id = $1`, l.meeting); err != nil {
		return outbox.Event{}, err
	}
	return l.ofMeeting(ctx, tx, "meeting.cancelled", func(m *meeting) {
		m.CancelledAt, m.CancellationReason = new(now()), new("Found the answer in the docs")
	})
}

// ofMeeting makes an event of the life's meeting, which comes into the payload as it now is, completed by
// what the event alone knows.
func (l *life) ofMeeting(ctx context.Context, tx pgx.Tx, eventType string, complete func(*meeting)) (outbox.Event, error) {
	m := meeting{ID: l.meeting, Timezone: "Europe/London", Location: "video call", JoinURL: "https://meet.example.com/demo"}
	err := tx.QueryRow(ctx, `select title, status, start_at, end_at from meetings where id = $1`, m.ID).
		Scan(&m.Title, &m.Status, &m.StartAt, &m.EndAt)
	if err != nil {
		return outbox.Event{}, fmt.Errorf("read meeting %d: %w", m.ID, err)
	}
	complete(&m)
	c, err := selectContact(ctx, tx, l.lead)
	if err != nil {
		return outbox.Event{}, err
	}
	return about("meeting", m.ID, eventType, fields{
		"meeting": m, "contact": c, "teammate": agent, "conversation_id": l.conversation,
	}), nil
}

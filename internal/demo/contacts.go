package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

// life is what happens to one lead and to one user of the sample application, from their creation
// to their deletion. It holds ids alone: what is true of them is in the tables.
type life struct {
	n            int // from 1
	first, last  string
	company      string
	lead         int64
	user         int64
	conversation int64
	meeting      int64
}

var people = []struct{ first, last, company string }{
	{"Ada", "Lovelace", "Analytical Engines"},
	{"Grace", "Hopper", "Compilers & Co"},
	{"Edgar", "Codd", "Relations Ltd"},
	{"Radia", "Perlman", "Spanning Trees"},
	{"Barbara", "Liskov", "Substitutes Inc"},
	{"Tony", "Hoare", "Null & Sons"},
}

func newLife(n int) *life {
	p := people[(n-1)%len(people)]
	return &life{n: n, first: p.first, last: p.last, company: p.company}
}

func (l *life) name() string { return l.first + " " + l.last }

// email is unique for each life, as the contacts table demands.
func (l *life) email(variant string) string {
	return fmt.Sprintf("%s.%s%d@example.com", strings.ToLower(l.first), variant, l.n)
}

// vip is the tag that contacts get and lose.
var vip = tag{ID: 7, Name: "vip"}

var newsletter = campaign{ID: 12, Name: "Monthly news"}

// createLead makes the lead that most of the life is about.
func (l *life) createLead(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	c, err := insertContact(ctx, tx, contact{
		Type: "lead", Name: l.name(), Email: new(l.email("lead")), Source: new("chat widget"),
		CustomProperties: map[string]any{"company": l.company, "plan": "free"},
	})
	l.lead = c.ID
	return about("contact", c.ID, "lead.created", fields{"contact": c}), err
}

// createLeadAgain makes a lead that the application finds to be there already.
func (l *life) createLeadAgain(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	c, err := insertContact(ctx, tx, contact{Type: "lead", Name: l.name(), Email: new(l.email("again")), Source: new("import")})
	return about("contact", c.ID, "lead.created", fields{"contact": c}), err
}

func (l *life) visitPage(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.ofLead(ctx, tx, "contact.page_visited", fields{"page_visit": pageVisit{
		URL: "https://example.com/pricing", Title: "Pricing", Referrer: "https://search.example.net/", VisitedAt: now(),
	}})
}

func (l *life) performEvent(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.ofLead(ctx, tx, "contact.event_performed", fields{"event": performedEvent{
		Name: "started_trial", Properties: map[string]any{"seats": 5, "plan": "pro"}, OccurredAt: now(),
	}})
}

func (l *life) submitForm(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.ofLead(ctx, tx, "contact.form_submitted", fields{
		"form": form{ID: 31, Title: "Ask for a demo", Type: "embedded"},
		"submission": submission{
			ID: int64(8000 + l.n), Fields: map[string]string{"email": l.email("lead"), "seats": "5"},
			PageURL: "https://example.com/demo", SubmittedAt: now(),
		},
	})
}

func (l *life) submitEmail(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.ofLead(ctx, tx, "lead.email_submitted", fields{
		"email": l.email("lead"), "source": "chat widget", "submitted_at": now(),
	})
}

func (l *life) subscribe(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.ofLead(ctx, tx, "contact.campaign_subscribed", fields{
		"campaign": newsletter, "subscription": subscription{Status: "subscribed", ChangedAt: now()},
	})
}

func (l *life) unsubscribe(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return l.ofLead(ctx, tx, "contact.campaign_unsubscribed", fields{
		"campaign": newsletter, "subscription": subscription{Status: "unsubscribed", ChangedAt: now()},
	})
}

// tag gives its event the short type, which goes with the aggregate type.
func (l *life) tag(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	if err := update(ctx, tx, `update contacts set tags = tags || $2::jsonb where id = $1`, l.lead, vip); err != nil {
		return outbox.Event{}, err
	}
	return l.ofLead(ctx, tx, "tagged", fields{"tag": vip, "tagged_at": now()})
}

func (l *life) untag(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	if err := update(ctx, tx, `update contacts set tags = '[]' where id = $1`, l.lead); err != nil {
		return outbox.Event{}, err
	}
	return l.ofLead(ctx, tx, "untagged", fields{"tag": vip, "untagged_at": now()})
}

func (l *life) changePlan(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	const set = `update contacts set custom_properties = custom_properties || '{"plan": "pro"}' where id = $1`
	if err := update(ctx, tx, set, l.lead); err != nil {
		return outbox.Event{}, err
	}
	return l.ofLead(ctx, tx, "contact.property_updated", fields{
		"property":   fields{"name": "plan", "value": "pro", "previous_value": "free"},
		"updated_at": now(),
	})
}

func (l *life) changeEmail(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	if err := update(ctx, tx, `update contacts set email = $2 where id = $1`, l.lead, l.email("work")); err != nil {
		return outbox.Event{}, err
	}
	return l.ofLead(ctx, tx, "contact.email_updated", fields{
		"email": l.email("work"), "previous_email": l.email("lead"), "updated_at": now(),
	})
}

func (l *life) unsubscribeEmails(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	if err := update(ctx, tx, `update contacts set unsubscribed = true where id = $1`, l.lead); err != nil {
		return outbox.Event{}, err
	}
	return l.ofLead(ctx, tx, "contact.unsubscribed_from_emails", fields{"unsubscribed_at": now()})
}

func (l *life) deleteLead(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return deleteContact(ctx, tx, l.lead, "lead.deleted")
}

func (l *life) createUser(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	c, err := insertContact(ctx, tx, contact{
		Type: "user", UserID: new(fmt.Sprintf("u-%d", l.n)), Name: l.name(), Email: new(l.email("user")),
		Source: new("sign-up"), CustomProperties: map[string]any{"company": l.company, "plan": "pro"}, SignedUpAt: new(now()),
	})
	l.user = c.ID
	return about("contact", c.ID, "user.created", fields{"contact": c}), err
}

func (l *life) deleteUser(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	return deleteContact(ctx, tx, l.user, "user.deleted")
}

// importContact tells of a contact as such, be it a user or a lead.
func (l *life) importContact(ctx context.Context, tx pgx.Tx) (outbox.Event, error) {
	c, err := insertContact(ctx, tx, contact{Type: "lead", Name: l.name(), Email: new(l.email("import")), Source: new("import")})
	return about("contact", c.ID, "contact.created", fields{"contact": c}), err
}

// ofLead makes an event of the life's lead, with the lead as it now is in the payload.
func (l *life) ofLead(ctx context.Context, tx pgx.Tx, eventType string, more fields) (outbox.Event, error) {
	c, err := selectContact(ctx, tx, l.lead)
	more["contact"] = c
	return about("contact", l.lead, eventType, more), err
}

// fields is a payload, or a part of one.
type fields map[string]any

// about makes the event that goes into the outbox.
func about(aggregate string, id int64, eventType string, payload fields) outbox.Event {
	return outbox.Event{AggregateType: aggregate, AggregateID: fmt.Sprint(id), Type: eventType, Payload: payload}
}

func now() int64 { return time.Now().Unix() }

const contactColumns = `id, type, user_id, name, email, source, unsubscribed, custom_properties, tags, signed_up_at, created_at`

func scanContact(row pgx.Row) (contact, error) {
	var c contact
	err := row.Scan(&c.ID, &c.Type, &c.UserID, &c.Name, &c.Email, &c.Source, &c.Unsubscribed,
		&c.CustomProperties, &c.Tags, &c.SignedUpAt, &c.CreatedAt)
	return c, err
}

func insertContact(ctx context.Context, tx pgx.Tx, c contact) (contact, error) {
	if c.CustomProperties == nil {
		c.CustomProperties = map[string]any{}
	}
	c, err := scanContact(tx.QueryRow(ctx, `insert into contacts (type, user_id, name, email, source, custom_properties, signed_up_at)
		values ($1, $2, $3, $4, $5, $6, $7) returning `+contactColumns,
		c.Type, c.UserID, c.Name, c.Email, c.Source, c.CustomProperties, c.SignedUpAt))
	if err != nil {
		return c, fmt.Errorf("insert contact: %w", err)
	}
	return c, nil
}

func selectContact(ctx context.Context, tx pgx.Tx, id int64) (contact, error) {
	c, err := scanContact(tx.QueryRow(ctx, `select `+contactColumns+` from contacts where id = $1`, id))
	if err != nil {
		return c, fmt.Errorf("read contact %d: %w", id, err)
	}
	return c, nil
}

func deleteContact(ctx context.Context, tx pgx.Tx, id int64, eventType string) (outbox.Event, error) {
	c, err := scanContact(tx.QueryRow(ctx, `delete from contacts where id = $1 returning `+contactColumns, id))
	if err != nil {
		return outbox.Event{}, fmt.Errorf("delete contact %d: %w", id, err)
	}
	return about("contact", id, eventType, fields{"contact": c, "deleted_at": now()}), nil
}

func update(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
	if _, err := tx.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

package daemon

import (
	"context"
	"testing"

	"github.com/walpost/walpost/outbox"
)

func TestMessagesAreDelivered(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.mode(`messages = "walpost"`)
	d := r.start()
	event := tagged("1")
	event.ID = "message-1"
	if err := outbox.Emit(t.Context(), r.pool, event); err != nil {
		t.Fatal(err)
	}
	first := r.receiver.next()
	contact, _ := first.json(t)["contact"].(map[string]any)
	if contact["id"] != "1" || first.topic != "contact.tagged" || first.json(t)["created_at"] == nil {
		t.Errorf("got %s %s", first.topic, first.body)
	}
	// A rollback sends nothing, bad content is kept with its problem, a row of the table comes beside them.
	tx, err := r.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Emit(t.Context(), tx, tagged("ghost")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.db.Exec(t, `select pg_logical_emit_message(true, 'walpost', 'no JSON')`)
	r.insert(tagged("2"))
	if contact, _ := r.receiver.next().json(t)["contact"].(map[string]any); contact["id"] != "2" {
		t.Errorf("got %v", contact)
	}
	r.until("select count(*) = 1 from walpost.quarantine where diagnostic like '%message is not a JSON object%'")
	d.mustStop()
	r.start().mustStop()
	r.receiver.none()
}

// A lost slot takes messages with it for good: the table is read, and an incident says which part of the WAL is gone until
// somebody ends it.
func TestLostMessagesAreToldOf(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.mode(`messages = "walpost"`)
	d := r.startMarked()
	d.mustStop()
	if err := outbox.Emit(t.Context(), r.pool, tagged("lost")); err != nil {
		t.Fatal(err)
	}
	r.insert(tagged("2"))
	r.dropSlot()
	d = r.start()
	book := &arrivals{t: t, ids: map[arrival]string{}}
	for book.ids[arrival{"/hook", "2"}] == "" {
		book.take(r.receiver.next())
	}
	r.until("select exists (select from walpost.incident where kind = 'slot_lost' and resolved_at is not null)")
	d.mustStop()
	r.start().mustStop()
	book.drain(r.receiver)
	if book.ids[arrival{"/hook", "lost"}] != "" {
		t.Error("the lost message arrived")
	}
	const open = "walpost.incident where kind = 'messages_lost' and resolved_at is null and lsn_from > '0/0' and lsn_to > lsn_from and detail like '%walpost% are gone%'"
	if n := r.count(open); n != 1 {
		t.Errorf("%d incidents", n)
	}
	r.db.Exec(t, "update walpost.incident set resolved_at = now() where kind = 'messages_lost' and resolved_at is null") // as it says
	r.start().mustStop()
	if n := r.count(open); n != 0 {
		t.Errorf("%d incidents after it was ended", n)
	}
}

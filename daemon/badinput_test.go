package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// big is an event whose payload has n bytes.
func big(id string, n int) outbox.Event {
	return outbox.Event{
		AggregateType: "contact", AggregateID: id, Type: "contact.tagged",
		Payload: map[string]any{"contact": map[string]any{"id": id}, "note": strings.Repeat("x", n)},
	}
}

func TestBadRowsAreQuarantinedAndTheStreamGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.db.Exec(t, "alter table public.outbox alter column payload drop not null")
	d := r.start()
	ctx := t.Context()
	for _, bad := range []struct{ payload, says string }{
		{"null", "payload"},
		{`'[1, 2]'`, "object"},
		{`'"text"'`, "object"},
		{`jsonb_build_object('note', repeat('x', 50 * 1024 * 1024))`, "outbox.max_payload"},
	} {
		var id string
		r.scan(`insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
			values ('contact', '1', 'contact.tagged', `+bad.payload+`) returning id::text`, nil, &id)
		r.until("select exists (select from walpost.quarantine where event_id = $1)", id)
		var says string
		r.scan("select diagnostic from walpost.quarantine where event_id = $1", []any{id}, &says)
		if !strings.Contains(says, bad.says) {
			t.Errorf("payload %s: diagnostic %q doesn't say %q", bad.payload, says, bad.says)
		}
	}
	const megabyte = 1 << 20
	r.insert(big("fine", megabyte))
	got := r.receiver.next()
	if len(got.body) < megabyte || got.topic != "contact.tagged" {
		t.Errorf("the 1 MB payload arrived as %d bytes", len(got.body))
	}
	// Nothing is lost: with a higher limit the large one is delivered.
	if err := r.reloadWith(ctx, d, one+"\noutbox {\n max_payload = \"64MiB\"\n slot = \""+r.db.Name+"\"\n}\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := d.ledger.ReplayQuarantined(ctx, ledger.Filter{}); err != nil || n != 4 {
		t.Fatalf("replay of %d quarantined events: %v", n, err)
	}
	if got := r.receiver.next(); len(got.body) < 50*megabyte {
		t.Errorf("the 50 MB payload arrived as %d bytes", len(got.body))
	}
	r.until("select count(*) = 3 from walpost.quarantine where resolved_at is null and replay_requested_at is null")
	d.mustStop()
	r.receiver.none()
}

func TestRuleThatFailsOnOneRowQuarantinesOnlyWhatItGives(t *testing.T) {
	t.Parallel()
	const rules = `
rule "vip" {
  when  = event.payload.score > 10
  topic = "vip.scored"
}
topic "vip.scored" {}
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
}
webhook "strict" {
  topics = ["contact.tagged"]
  url    = "{url}/strict/${upper(event.data.name)}"
}
`
	r := newRig(t, rules)
	d := r.start()
	row := func(payload map[string]any) outbox.Event {
		return outbox.Event{ID: "", AggregateType: "contact", AggregateID: "1", Type: "contact.tagged", Payload: payload}
	}
	r.insert(row(map[string]any{"score": "many", "name": "ada"}))
	r.insert(row(map[string]any{"score": 1, "name": []int{1}}))
	r.insert(row(map[string]any{"score": 11, "name": "ada"}))
	paths := map[string]int{}
	for range 6 {
		got := r.receiver.next()
		paths[got.path+" "+got.topic]++
	}
	want := map[string]int{"/hook contact.tagged": 3, "/hook vip.scored": 1, "/strict/ADA contact.tagged": 2}
	if fmt.Sprint(paths) != fmt.Sprint(want) {
		t.Errorf("arrived %v, want %v", paths, want)
	}
	r.until("select count(*) = 2 from walpost.quarantine where resolved_at is null")
	var rule, webhook string
	r.scan("select max(rule), max(webhook) from walpost.quarantine", nil, &rule, &webhook)
	if rule != "vip" || webhook != "strict" {
		t.Errorf("quarantined for rule %q and webhook %q", rule, webhook)
	}
	// Mended rules and a replay bring just what was missing.
	mended := strings.NewReplacer("event.payload.score > 10", "try(tonumber(event.payload.score), 11) > 10",
		"upper(event.data.name)", `try(upper(event.data.name), "unknown")`).Replace(rules)
	if err := r.reloadWith(t.Context(), d, mended); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ledger.ReplayQuarantined(t.Context(), ledger.Filter{}); err != nil {
		t.Fatal(err)
	}
	paths = map[string]int{}
	for range 2 {
		got := r.receiver.next()
		paths[got.path+" "+got.topic]++
	}
	if want := map[string]int{"/hook vip.scored": 1, "/strict/unknown contact.tagged": 1}; fmt.Sprint(paths) != fmt.Sprint(want) {
		t.Errorf("the replay brought %v, want %v", paths, want)
	}
	r.until("select not exists (select from walpost.quarantine where resolved_at is null)")
	d.mustStop()
	r.receiver.none()
}

// reloadWith edits the configuration and reloads it.
func (r *rig) reloadWith(ctx context.Context, d *running, hcl string) error {
	r.edit(hcl)
	return d.Reload(ctx)
}

func TestReloadTakesAllOrNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.start()
	r.insert(tagged("1"))
	if got := r.receiver.next(); got.path != "/hook" {
		t.Errorf("before: %s", got.path)
	}
	for name, broken := range map[string]string{
		"syntax":           `webhook "hook" {`,
		"unknown topic":    strings.Replace(one, `"*"`, `"contact.taged"`, 1),
		"one bad of two":   one + `webhook "second" { topics = ["*"] }`,
		"needs a restart":  one + `ledger { record = "all" }`,
		"missing variable": strings.Replace(one, `"{url}/hook"`, `env("NO_SUCH_VARIABLE")`, 1),
	} {
		err := r.reloadWith(t.Context(), d, broken)
		if err == nil {
			t.Errorf("%s: reloaded", name)
		}
		var problems *ConfigError
		if name != "needs a restart" && !errors.As(err, &problems) {
			t.Errorf("%s: %v is no ConfigError", name, err)
		}
		if status := d.Status().Reload; status == nil || status.Error == "" {
			t.Errorf("%s: the status doesn't show it", name)
		}
	}
	r.insert(tagged("2"))
	if got := r.receiver.next(); got.path != "/hook" {
		t.Errorf("after broken edits: %s", got.path)
	}
	if err := r.reloadWith(t.Context(), d, strings.NewReplacer(`"hook"`, `"other"`, "/hook", "/other").Replace(one)); err != nil {
		t.Fatal(err)
	}
	r.insert(tagged("3"))
	if got := r.receiver.next(); got.path != "/other" {
		t.Errorf("after the reload: %s", got.path)
	}
	d.mustStop()
	r.receiver.none()
}

func TestReloadKeepsWhatIsOwed(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.receiver.answers(status(500))
	d := r.start()
	r.insert(tagged("1"))
	id := r.receiver.next().id
	r.until("select exists (select from walpost.delivery where state = 'retrying')")
	if err := r.reloadWith(t.Context(), d, ""); err != nil {
		t.Fatal(err)
	}
	r.db.Exec(t, "update walpost.delivery set due_at = walpost.now()")
	d.turnAround()
	r.receiver.none()
	r.receiver.answers(nil)
	if err := r.reloadWith(t.Context(), d, strings.Replace(one, "/hook", "/moved", 1)); err != nil {
		t.Fatal(err)
	}
	if got := r.receiver.next(); got.path != "/moved" || got.id != id || got.attempt != "2" {
		t.Errorf("%s %s attempt %s, want /moved %s attempt 2", got.path, got.id, got.attempt, id)
	}
	r.until("select exists (select from walpost.delivery where state = 'delivered')")
}

func TestColumnsThatChangeWhileTheStreamRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.start()
	r.db.Exec(t, `alter table public.outbox add column extra text; alter table public.outbox drop column headers; alter table public.outbox add column headers jsonb`)
	r.insert(tagged("1"))
	if got := r.receiver.next(); !bytes.Contains(got.body, []byte("vip")) {
		t.Errorf("body %s", got.body)
	}
	d.mustStop()
}

func TestNothingIsSentOnceItsTimeIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
  retry  = ["2s", "1h"]
  expire = "1s"
}
`)
	r.receiver.answers(status(500))
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	r.until("select exists (select from walpost.delivery where state = 'failed' and last_class = 'expired' and attempts = 2)")
	d.mustStop()
	r.receiver.none()
}

package daemon

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// says answers with a status and a JSON body.
func says(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body) // the client may have gone
	}
}

func TestAnswersAreJudgedByTheirContent(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics         = ["*"]
  url            = "{url}/hook"
  success_when   = response.json.ok && response.headers.x-checked == null
  permanent_when = response.json.reason == "never"
}
`)
	d := r.start()
	for _, c := range []struct {
		answer http.HandlerFunc
		want   string // of the delivery's row; "": none
	}{
		{says(200, `{"ok": true}`), ""},
		{says(200, `{"ok": false}`), "retrying retry status 200"},
		{says(200, `no JSON`), "retrying retry status 200"},
		{says(200, `{"reason": "never"}`), "failed rejected status 200"},
		{says(400, `{"reason": "never"}`), "failed rejected status 400"},
		{says(400, `{"reason": "now"}`), "retrying retry status 400"},
		{says(200, `{"ok": [1]}`), "retrying retry rule 200"},
	} {
		r.receiver.answers(c.answer)
		r.insert(tagged("1"))
		id := r.receiver.next().id
		if c.want == "" {
			continue
		}
		r.until("select exists (select from walpost.delivery where id = $1)", id)
		var got, excerpt string
		r.scan(`select concat_ws(' ', d.state, d.last_verdict, d.last_class, d.last_status), coalesce(a.excerpt, '')
			from walpost.delivery d join walpost.attempt a on a.delivery_id = d.id where d.id = $1`, []any{id}, &got, &excerpt)
		if got != c.want {
			t.Errorf("delivery is %q, want %q", got, c.want)
		}
		if strings.Contains(c.want, "rule") && !strings.Contains(excerpt, `webhook "hook"`) {
			t.Errorf("the problem isn't said: %q", excerpt)
		}
	}
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.quarantine"); n != 0 {
		t.Errorf("%d quarantined for their answers", n)
	}
}

// tickets opens a ticket for a contact, and adds to it once it is open.
const tickets = `
webhook "open" {
  topics = ["contact.created"]
  url    = "{url}/open"
  capture {
    key   = event.aggregate_id
    value = { id = response.json.ticket, at = event.id }
  }
}
webhook "add" {
  topics   = ["contact.tagged"]
  url      = "{url}/add/${captured("open", event.aggregate_id).id}"
  wait_for = captured("open", event.aggregate_id) != null
}
`

func TestCapturedAnswerIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, tickets)
	r.receiver.answers(says(201, `{"ticket": 1001}`))
	d := r.start()
	for i := range 20 {
		e := tagged(eventID(i))
		e.Type = "contact.created"
		r.insert(e)
		r.receiver.next()
		d.waitFor(func(s Status) bool { return s.Counters.Delivered == uint64(2*i+1) && s.Queues[1].Running == 0 })
		r.insert(tagged(eventID(i)))
		if got := r.receiver.next(); got.path != "/add/1001" || got.attempt != "1" {
			t.Fatalf("%s attempt %s", got.path, got.attempt)
		}
	}
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.event") + r.count("walpost.delivery"); n != 0 || r.count("walpost.capture") != 20 {
		t.Errorf("%d rows beside %d captures", n, r.count("walpost.capture"))
	}
}

func TestWaitingForACaptureIsAFailedAttemptWithoutRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, tickets)
	r.receiver.answers(says(201, `{"ticket": 7}`))
	d := r.start()
	r.insert(tagged("1"))
	r.until(`select exists (select from walpost.delivery where state = 'retrying' and attempts = 1 and last_class = 'waiting'
		and last_verdict = 'retry' and last_status is null)`)
	r.receiver.none()
	e := tagged("1")
	e.Type = "contact.created"
	r.insert(e)
	if got := r.receiver.next(); got.path != "/open" {
		t.Errorf("request to %s", got.path)
	}
	r.until("select exists (select from walpost.capture where webhook = 'open' and key = '1' and value::jsonb ->> 'id' = '7')")
	d.mustStop()
	r.due()
	d = r.start() // another process finds it, too
	if got := r.receiver.next(); got.path != "/add/7" || got.attempt != "2" {
		t.Errorf("%s attempt %s", got.path, got.attempt)
	}
	r.until("select exists (select from walpost.delivery where state = 'delivered')")
	d.mustStop()
	r.receiver.none()
}

func TestLookupThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, tickets)
	d := r.start()
	r.db.Exec(t, "alter table walpost.capture rename to elsewhere")
	r.insert(tagged("1"))
	r.until("select exists (select from walpost.delivery where state = 'retrying' and attempts = 1 and last_class = 'rule')")
	r.db.Exec(t, `alter table walpost.elsewhere rename to capture; insert into walpost.capture
		values ('open', '1', '{"id": 9}', 'e', '0/1', walpost.now())`)
	r.due()
	if got := r.receiver.next(); got.path != "/add/9" || got.attempt != "2" {
		t.Errorf("%s attempt %s", got.path, got.attempt)
	}
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.quarantine"); n != 0 {
		t.Errorf("%d quarantined for a lookup", n)
	}
}

// What can't be captured is delivered all the same: asking again would open a second ticket.
func TestFailedCaptureDoesNotRepeatTheRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.NewReplacer("response.json.ticket,", "upper(response.json.ticket),", "event.id", "response.json.ticket").Replace(tickets))
	d := r.start()
	large := `{"ticket": "` + strings.Repeat("x", 40<<10) + `"}` // the value has it twice, which is more than is kept
	for i, body := range []string{`{"ticket": [1]}`, large} {
		r.receiver.answers(says(201, body))
		e := tagged("1")
		e.Type = "contact.created"
		r.insert(e)
		r.receiver.next()
		d.waitFor(func(s Status) bool { return s.Counters.Delivered == uint64(i+1) })
	}
	d.mustStop()
	r.receiver.none()
	if n := r.count("walpost.capture") + r.count("walpost.delivery"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestBatchCapturesForEachMember(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.Replace(batched(3, "10s", ""), "  batch {", `
  capture {
    key   = event.aggregate_id
    value = response.json.tickets[event.aggregate_id]
  }
  batch {`, 1))
	r.receiver.answers(says(200, `{"tickets": {"1": 11, "2": 12, "3": 13}, "failed": ["`+eventID(2)+`"]}`))
	d := r.start()
	r.insert(numbered(1, 3)...)
	r.receiver.next()
	r.until("select string_agg(key || '=' || value, ' ' order by key) is not distinct from '1=11 3=13' from walpost.capture")
	r.until("select count(*) = 1 from walpost.delivery where state = 'retrying' and last_class = 'partial'")
	d.mustStop()
	r.receiver.none()
}

func TestWaitingDeliveriesGoOnUnderNewRules(t *testing.T) {
	t.Parallel()
	const rules = `
topic "moved" {}
rule "moved" {
  topic = "moved"
  data  = { was = "before" }
}
webhook "hook" {
  topics      = ["moved"]
  url         = "{url}/before"
  envelope    = "raw"
  concurrency = 1
}
`
	r := newRig(t, rules)
	release := make(chan struct{})
	r.receiver.answers(r.receiver.holding(release, nil))
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	r.insert(tagged("2"))
	d.waitFor(func(s Status) bool { return s.Queues[0].Waiting == 1 })
	if err := r.reloadWith(t.Context(), d, strings.ReplaceAll(rules, "before", "after")); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := r.receiver.next(); got.path != "/after" || string(got.body) != `{"was":"after"}` {
		t.Errorf("%s %s", got.path, got.body)
	}
	d.mustStop()
	r.receiver.none()
}

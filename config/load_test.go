package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/outbox"
)

// environment is what env() finds in tests. TOKEN is looked for in all output.
var environment = map[string]string{
	"DATABASE_URL": "postgres://app:p4ssw0rd-of-db@db:5432/app",
	"TOKEN":        "t0ken-that-nobody-may-see",
	"CRM_SECRET":   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	"BASE_URL":     "https://b.example",
	"MULTILINE":    "line one\nline two",
	"BINARY":       "\xff\xfe",
	"EMPTY":        "",
}

func withTestEnv() Option {
	return WithEnv(func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
}

// parseOne parses one source and fails the test on any problem.
func parseOne(t *testing.T, src string) *Config {
	t.Helper()
	cfg, diags := Parse(map[string][]byte{"test.hcl": []byte(src)}, withTestEnv())
	requireNone(t, cfg, diags)
	return cfg
}

func requireNone(t *testing.T, cfg *Config, diags hcl.Diagnostics) {
	t.Helper()
	if len(diags) > 0 {
		t.Fatalf("unexpected diagnostics:\n%s", render(t, cfg, diags))
	}
}

func render(t *testing.T, cfg *Config, diags hcl.Diagnostics) string {
	t.Helper()
	var out strings.Builder
	if err := WriteDiagnostics(&out, cfg.Files, diags, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLoadFull(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/full.hcl", withTestEnv())
	requireNone(t, cfg, diags)

	if got := cfg.Database.URL.Reveal(); got != environment["DATABASE_URL"] {
		t.Errorf("database.url = %q", got)
	}
	if got := cfg.Database.ReplicationURL.Reveal(); got != "postgres://app@db:5432/app" {
		t.Errorf("database.replication_url = %q", got)
	}
	columns := outbox.DefaultColumns
	columns.AggregateType, columns.AggregateID, columns.EventType, columns.Headers = "aggregatetype", "aggregateid", "type", "-"
	equal(t, "outbox", cfg.Outbox, Outbox{
		Table: outbox.Table{Schema: "app", Name: "outbox_events", Columns: columns},
		Mode:  ModeStream, Slot: "walpost_2", Publication: "Walpost", PollInterval: time.Second, Messages: "app.events", Start: StartBacklog, MaxPayload: 4 << 20, Retention: 36 * time.Hour,
	})
	equal(t, "ledger", cfg.Ledger, Ledger{Record: RecordAll, Retention: 14 * 24 * time.Hour, Hold: 30 * 24 * time.Hour})
	equal(t, "admin", *cfg.Admin, Admin{Listen: "0.0.0.0:8710", Token: Secret(environment["TOKEN"])})
	equal(t, "egress", cfg.Egress, Egress{
		Allow: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("fd00::/8")},
		Deny:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if len(cfg.Topics) != 29 || !slices.IsSortedFunc(cfg.Topics, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d topics, or not sorted", len(cfg.Topics))
	}
	paid := cfg.Topic("invoice.paid")
	equal(t, "event types", paid.EventTypes, []string{"paid"})
	equal(t, "aggregate", paid.Aggregate, "invoice")
	twice := cfg.Topic("order-item.added_twice")
	equal(t, "aggregate", twice.Aggregate, "order")
	equal(t, "title", twice.Title, twice.Name)
	equal(t, "event types", twice.EventTypes, []string{})

	equal(t, "rules", []string{cfg.Rules[0].Name, cfg.Rules[1].Name}, []string{"vip_lead", "always"})
	if cfg.Rules[0].When == nil || cfg.Rules[0].Data == nil || cfg.Rules[1].When != nil || cfg.Rules[1].Data != nil {
		t.Error("expressions of rules: want both of the first, none of the second")
	}
}

func TestLoadWebhooks(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/full.hcl", withTestEnv())
	requireNone(t, cfg, diags)

	crm := cfg.Webhook("crm")
	if crm.When == nil || crm.URL == nil || crm.Body == nil {
		t.Error("crm: an expression is missing")
	}
	equal(t, "headers", names(crm.Headers), []string{"X-Team", "x-source", "Authorization", "X-Count", "X-None"})
	equal(t, "sign", *crm.Sign, Sign{Secret: Secret(environment["CRM_SECRET"])})
	crm.When, crm.URL, crm.Body, crm.Headers, crm.Sign, crm.DeclRange = nil, nil, nil, nil, nil, hcl.Range{}
	equal(t, "crm", *crm, Webhook{
		Name: "crm", Title: "Salesforce leads", Topics: []string{"lead.created", "contact.*", "*.paid"},
		Method: "POST", Envelope: EnvelopeGist, Timeout: 10 * time.Second, Retry: []time.Duration{},
		Success: []int{200, 201, 207}, Permanent: []int{}, Concurrency: 64, Auto: true, Queue: 1000,
		RateLimit: Rate{N: 600, Per: time.Minute}, Breaker: true,
	})

	tickets := cfg.Webhook("tickets")
	equal(t, "headers", names(tickets.Headers), []string{"X-Source", "X-Team"})
	equal(t, "params", names(tickets.BodyParams), []string{"id", "source", "nested"})
	if tickets.When != nil || tickets.Body != nil || tickets.Sign != nil {
		t.Error("tickets: has what it doesn't say")
	}
	tickets.URL, tickets.Headers, tickets.BodyParams, tickets.DeclRange = nil, nil, nil, hcl.Range{}
	equal(t, "tickets", *tickets, Webhook{
		Name: "tickets", Title: "tickets", Topics: []string{"conversation.*"},
		Method: "PUT", Envelope: EnvelopeRaw, Timeout: 3 * time.Second, Retry: []time.Duration{time.Minute, 90 * time.Minute},
		Success: []int{200, 204}, Permanent: []int{400}, Enabled: true, Concurrency: 8, Queue: 50,
	})
}

func names(params []Param) []string {
	var all []string
	for _, p := range params {
		all = append(all, p.Name)
	}
	return all
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestLoadPolling(t *testing.T) {
	t.Parallel()
	const others = `
		database { url = env("DATABASE_URL") }
		webhook "w" {
			topics = ["*"]
			url    = "https://example.com/"
		}`
	cfg := parseOne(t, others+`
		outbox {
			mode = "polling"
			slot = "checkpoint_name"
		}`)
	equal(t, "outbox", cfg.Outbox, Outbox{
		Table: outbox.Table{Schema: "public", Name: "outbox", Columns: outbox.DefaultColumns},
		Mode:  ModePolling, Slot: "checkpoint_name", PollInterval: time.Second, Start: StartNow, MaxPayload: 16 << 20,
	})
	cfg = parseOne(t, others+`
		outbox {
			mode          = "polling"
			poll_interval = "200ms"
		}`)
	equal(t, "interval", cfg.Outbox.PollInterval, 200*time.Millisecond)
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	cfg := parseOne(t, `
		database { url = env("DATABASE_URL") }
		webhook "w" {
			topics = ["*"]
			url    = "https://example.com/"
		}`)
	equal(t, "replication url", cfg.Database.ReplicationURL, cfg.Database.URL)
	equal(t, "outbox", cfg.Outbox, Outbox{
		Table: outbox.Table{Schema: "public", Name: "outbox", Columns: outbox.DefaultColumns},
		Mode:  ModeStream, Slot: "walpost", Publication: "walpost", PollInterval: time.Second, Start: StartNow, MaxPayload: 16 << 20,
	})
	equal(t, "ledger", cfg.Ledger, Ledger{Record: RecordFailures, Retention: 7 * 24 * time.Hour, Hold: 7 * 24 * time.Hour})
	equal(t, "pack", cfg.Pack, PackGist)
	if cfg.Admin != nil {
		t.Error("there is an admin listener without an admin block")
	}
	w := *cfg.Webhooks[0]
	w.URL, w.DeclRange = nil, hcl.Range{}
	equal(t, "webhook", w, Webhook{
		Name: "w", Title: "w", Topics: []string{"*"}, Method: "POST", Envelope: EnvelopeGist,
		Timeout: 10 * time.Second, Retry: []time.Duration{5 * time.Minute, time.Hour, 3 * time.Hour},
		Enabled: true, Concurrency: 1000, Auto: true, Queue: 1000,
	})
}

func TestLoadFolderMergesInNameOrder(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/merged", withTestEnv())
	requireNone(t, cfg, diags)
	var got []string
	for _, w := range cfg.Webhooks {
		got = append(got, w.Name)
	}
	for _, r := range cfg.Rules {
		got = append(got, r.Name)
	}
	for _, topic := range cfg.Topics {
		got = append(got, topic.Name)
	}
	equal(t, "order", got, []string{"first", "second", "b", "a", "invoice.due", "invoice.paid"})
}

// TestLoadConfigMap loads a folder as Kubernetes mounts one: links into a hidden folder.
func TestLoadConfigMap(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	hidden := filepath.Join(folder, "..2026_01_01")
	must(t, os.Mkdir(hidden, 0o700))
	must(t, os.WriteFile(filepath.Join(hidden, "walpost.hcl"), Starter(), 0o600))
	must(t, os.Symlink("..2026_01_01", filepath.Join(folder, "..data")))
	must(t, os.Symlink("..data/walpost.hcl", filepath.Join(folder, "walpost.hcl")))
	cfg, diags := Load(folder, withTestEnv())
	requireNone(t, cfg, diags)
	equal(t, "webhooks", len(cfg.Webhooks), 1)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLoadUnreadable(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	large := filepath.Join(t.TempDir(), "large.hcl")
	must(t, os.WriteFile(large, make([]byte, maxSource+1), 0o600))
	folder := t.TempDir()
	must(t, os.Mkdir(filepath.Join(folder, "folder.hcl"), 0o700))
	for path, want := range map[string]string{
		filepath.Join(empty, "walpost.hcl"): "walpost init",
		empty:                               "no file that ends in .hcl",
		large:                               "more than 1 MiB",
		folder:                              "is a directory",
	} {
		cfg, diags := Load(path)
		if got := render(t, cfg, diags); !strings.Contains(got, want) || !diags.HasErrors() {
			t.Errorf("Load(%s): got %q, want %q", path, got, want)
		}
	}
	_, diags := Parse(map[string][]byte{"large.hcl": make([]byte, maxSource+1)})
	if len(diags) != 1 || diags[0].Summary != "Configuration file too large" {
		t.Errorf("Parse: %v", diags)
	}
}

// TestParseNesting: HCL's parser recurses; what could exhaust the stack must be refused.
func TestParseNesting(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"(", "!", "{a=", "[", "-", "a(", "\"${", "1?1:", "x[", "a.*.", "1+"} {
		for _, size := range []int{4 * maxTokens, 20_000} {
			src := "webhook \"a\" {\n url = " + strings.Repeat(unit, size/len(unit))
			if _, diags := Parse(map[string][]byte{"a.hcl": []byte(src)}); !diags.HasErrors() {
				t.Errorf("%q: no error", unit)
			}
		}
	}
}

func TestFailedLoadHasFilesOnly(t *testing.T) {
	t.Parallel()
	cfg, diags := Parse(map[string][]byte{"a.hcl": []byte(`rules = "none"`)})
	if !diags.HasErrors() || cfg.Files["a.hcl"] == nil {
		t.Fatalf("errors %v, files %v", diags.HasErrors(), cfg.Files)
	}
	cfg.Files = nil
	equal(t, "config", *cfg, Config{})
}

func TestGistPack(t *testing.T) {
	t.Parallel()
	cfg := parseOne(t, string(Starter()))
	raw, err := os.ReadFile("testdata/gist-topics.json")
	must(t, err)
	var guide struct {
		Topics []struct{ ID, Name, Trigger, Aggregate string }
	}
	must(t, json.Unmarshal(raw, &guide))
	equal(t, "number of topics", len(cfg.Topics), 27)
	aliases := map[string][]string{
		"contact.created":               {"contact.created", "user.created", "lead.created"},
		"conversation.message_received": {"conversation.message_received", "conversation.initiated"},
		"meeting.cancelled":             {"meeting.cancelled", "meeting.canceled"},
	}
	for _, want := range guide.Topics {
		topic := cfg.Topic(want.ID)
		if topic == nil {
			t.Errorf("no topic %s", want.ID)
			continue
		}
		types := aliases[want.ID]
		if types == nil {
			types = []string{want.ID}
		}
		got := *topic
		got.DeclRange = hcl.Range{}
		equal(t, want.ID, got, Topic{
			Name: want.ID, Title: want.Name, Description: want.Trigger,
			Aggregate: want.Aggregate, EventTypes: types, Builtin: true,
		})
	}
}

func TestMatchTopic(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, topic string
		want           bool
	}{
		{"contact.tagged", "contact.tagged", true},
		{"contact.tagged", "contact.tagged.x", false},
		{"*", "contact.tagged", true},
		{"contact.*", "contact.tagged", true},
		{"contact.*", "contact.a.b", true},
		{"contact.*", "contact", false},
		{"*.created", "user.created", true},
		{"*.created", "user.created.x", false},
		{"*a*a*", "aa", true},
		{"*a*a*", "a", false},
		{"a*a", "a", false},
		{"a*b*c", "a.b.b.c", true},
		{"a*b*c", "a.c.b", false},
		{"", "", true},
		{"", "a", false},
		{"**", "", true},
	} {
		if got := MatchTopic(test.pattern, test.topic); got != test.want {
			t.Errorf("MatchTopic(%q, %q) = %v", test.pattern, test.topic, got)
		}
	}
}

// TestNothingPrintsSecrets prints a whole configuration in every way there is.
func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/full.hcl", withTestEnv())
	requireNone(t, cfg, diags)
	encoded, err := json.Marshal(cfg)
	must(t, err)
	out := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{cfg, *cfg, cfg.Database, cfg.Admin, *cfg.Admin, cfg.Webhook("crm"), *cfg.Webhook("crm"), cfg.Webhook("crm").Sign, *cfg.Webhook("crm").Sign, cfg.Database.URL} {
			out += fmt.Sprintf(verb, value)
		}
	}
	for name, secret := range environment {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
			if len(secret) > 5 && name != "BASE_URL" && strings.Contains(out, form) {
				t.Errorf("%s is shown", name)
			}
		}
	}
	text, err := cfg.Database.URL.MarshalText()
	must(t, err)
	equal(t, "text", string(text), hidden)
	equal(t, "string", cfg.Database.URL.String()+cfg.Database.URL.GoString(), hidden+hidden)
}

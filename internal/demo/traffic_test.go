//go:build unix

package demo

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/pgtest"
)

// load gives the demo's configuration.
func load(t *testing.T) *config.Config {
	t.Helper()
	cfg, diags := config.Parse(map[string][]byte{"demo.hcl": []byte(configuration)},
		config.WithEnv(func(name string) (string, bool) {
			switch name {
			case "DATABASE_URL":
				return "postgres://localhost/demo", true
			case "RECEIVER_URL":
				return "http://127.0.0.1:8080", true
			default:
				return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true
			}
		}))
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return cfg
}

// notification is an event's row as the default body carries it.
func notification(t *testing.T, id, topic string, payload []byte) map[string]any {
	t.Helper()
	body := map[string]any{}
	if err := json.Unmarshal(payload, &body); err != nil {
		t.Fatal(err)
	}
	maps.Copy(body, map[string]any{"id": id, "topic": topic, "created_at": float64(now())})
	return body
}

// What one life leaves in the outbox gives all 27 topics, in payloads that keep to the schema; what was rolled
// back isn't there.
func TestLifeGivesEveryTopic(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	b := newBooks(load(t).Webhooks)
	undone := 0
	app := &application{conn: db.Conn(t), books: b, rolledBack: func([]string) { undone++ }}
	if err := app.install(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.run(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}

	rows, err := app.conn.Query(t.Context(), `select id::text, aggregate_type, event_type, payload::text from outbox`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	s := readSchema(t)
	topics := map[string]bool{}
	committed := 0
	for rows.Next() {
		var id, aggregate, eventType, payload string
		if err := rows.Scan(&id, &aggregate, &eventType, &payload); err != nil {
			t.Fatal(err)
		}
		committed++
		for _, topic := range topicsOf(about(aggregate, 0, eventType, nil)) {
			topics[topic] = true
			body := notification(t, id, topic, []byte(payload))
			for _, problem := range s.Defs["notification"].check(s.Defs, "", body) {
				t.Errorf("%s%s", topic, problem)
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := s.Defs["notification"].Properties["topic"].Enum
	if len(want) != 27 {
		t.Fatalf("the schema has %d topics, want 27", len(want))
	}
	for _, topic := range want {
		if !topics[topic.(string)] {
			t.Errorf("no row gives topic %s", topic)
		}
	}
	if len(topics) != len(want) {
		t.Errorf("rows give topics %v, want no others than the schema's", slices.Sorted(maps.Keys(topics)))
	}

	fates := map[fate]int{}
	for _, r := range b.rows {
		fates[r.fate]++
	}
	if fates[fateOpen] != 0 || fates[fateCommitted] != committed || fates[fateRolledBack] != undone || undone == 0 {
		t.Errorf("books have fates %v; %d rows are there, %d were rolled back", fates, committed, undone)
	}
}

// The sample application's ideas of topics are those of the configuration.
func TestTopicsAreThePacks(t *testing.T) {
	t.Parallel()
	pack := names(load(t).Topics)
	var schemas []string
	for _, topic := range readSchema(t).Defs["notification"].Properties["topic"].Enum {
		schemas = append(schemas, topic.(string))
	}
	slices.Sort(schemas)
	if !slices.Equal(pack, schemas) {
		t.Errorf("the pack has topics %v, the schema %v", pack, schemas)
	}
}

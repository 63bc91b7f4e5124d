package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/outbox"
)

func TestLoadLanguage(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/language.hcl", withTestEnv())
	requireNone(t, cfg, diags)

	var top []string
	for _, l := range cfg.Locals {
		top = append(top, l.Name)
	}
	equal(t, "locals", top, []string{"api", "email", "v2"})

	analytics := cfg.Webhook("analytics")
	equal(t, "query", names(analytics.Query), []string{"measurement_id", "api_secret", "debug"})
	equal(t, "retry_on", analytics.RetryOn, []int{403})
	if analytics.SuccessWhen == nil || analytics.PermanentWhen != nil || analytics.WaitFor != nil || analytics.Form != nil {
		t.Error("analytics: conditions or form")
	}
	if analytics.Batch.Failed == nil {
		t.Error("analytics: no failed")
	}
	equal(t, "batch", [2]any{analytics.Batch.Max, analytics.Batch.Wait}, [2]any{25, 500 * time.Millisecond})

	open := cfg.Webhook("zendesk_open")
	equal(t, "own locals", []string{open.Locals[0].Name, open.Locals[1].Name}, []string{"id", "email"})
	equal(t, "form", names(open.Form), []string{"id", "page"})
	if open.Capture.Key == nil || open.Capture.Value == nil || open.PermanentWhen == nil {
		t.Error("zendesk_open: an expression is missing")
	}
	auth := *open.Auth
	auth.DeclRange = hcl.Range{}
	equal(t, "oauth2", fmt.Sprint(auth), `auth "oauth2"`)
	equal(t, "token url", auth.TokenURL, "https://api.example.com/token")
	equal(t, "client", []string{auth.ClientID, auth.ClientSecret.Reveal()}, []string{environment["TOKEN"], environment["TOKEN"]})
	equal(t, "scopes", auth.Scopes, []string{"tickets:write"})
	equal(t, "params", auth.Params, map[string]string{"resource": "https://api.example.com/v2"})

	closing := cfg.Webhook("zendesk_close")
	if closing.WaitFor == nil || closing.Capture != nil || closing.Batch != nil {
		t.Error("zendesk_close")
	}
	equal(t, "basic", []string{closing.Auth.Username, closing.Auth.Password.Reveal()}, []string{"agent@example.com/token", environment["TOKEN"]})
}

func TestLoadTest(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/language.hcl", withTestEnv())
	requireNone(t, cfg, diags)
	test := cfg.Tests[0]
	equal(t, "event", *test.Events[0], outbox.Row{
		ID: "00000000-0000-4000-8000-000000000001", AggregateType: "conversation", AggregateID: "1", Type: "closed",
		Payload: []byte(`{"conversation":{"id":42}}`), CreatedAt: testTime, CommittedAt: testTime, LSN: 1,
	})
	equal(t, "captured", test.Captured, map[string]map[string]json.RawMessage{"zendesk_open": {"42": json.RawMessage("1001")}})
	equal(t, "status", test.Response.Status, 200)
	equal(t, "body", string(test.Response.Body), `{"ok":true}`)
	equal(t, "header", test.Response.Header.Get("X-Request-Id")+test.Response.Header.Get("Content-Type"), "7application/json")
	equal(t, "none", test.ExpectNone, []string{"analytics"})
	expect := *test.Expects[0]
	expect.DeclRange = hcl.Range{}
	contentType := "application/json"
	equal(t, "expect", expect, Expect{
		Webhook: "zendesk_close", Topic: "conversation.closed", Method: "PUT", URL: "https://api.example.com/tickets/1001",
		Headers: map[string]*string{"content-type": &contentType, "x-none": nil},
		Body:    json.RawMessage(`{"conversation":{"id":42}}`), Verdict: VerdictDelivered,
	})
}

// TestTestValues: what is made up is the same each time, and numbers are exact.
func TestTestValues(t *testing.T) {
	t.Parallel()
	cfg := parseOne(t, `
		database { url = env("DATABASE_URL") }
		locals { big = 123456789012345678901234567890.5 }
		webhook "w" {
			topics = ["contact.tagged"]
			url    = "https://example.com/"
			body   = [for e in events : e.data]
			batch { failed = response.json }
			capture {
				key   = event.id
				value = response.body
			}
		}
		test "two" {
			event { type = "tagged" }
			event {
				id         = "e2"
				type       = "contact.tagged"
				headers    = { a = null }
				created_at = "2026-05-06T09:08:09.5+02:00"
				payload    = { big = local.big, list = [1, "a", true, null] }
			}
			response {
				body    = "not json"
				headers = { retry-after = null }
			}
			expect "w" {
				body    = null
				query   = {}
				capture = { "e2" = { a = [1] }, none = null }
				failed  = []
			}
		}`)
	test := cfg.Tests[0]
	second := *test.Events[1]
	at := time.Date(2026, 5, 6, 7, 8, 9, 500_000_000, time.UTC)
	equal(t, "event", second, outbox.Row{
		ID: "e2", AggregateType: "contact", AggregateID: "1", Type: "contact.tagged",
		Payload: []byte(`{"big":123456789012345678901234567890.5,"list":[1,"a",true,null]}`), Headers: []byte(`{"a":null}`),
		CreatedAt: at, CommittedAt: at, LSN: 2,
	})
	equal(t, "response", [2]string{string(test.Response.Body), fmt.Sprint(test.Response.Header)}, [2]string{"not json", "map[]"})
	expect := *test.Expects[0]
	expect.DeclRange = hcl.Range{}
	equal(t, "expect", expect, Expect{
		Webhook: "w", Body: json.RawMessage("null"), Query: map[string]*string{}, Failed: []string{},
		Capture: map[string]json.RawMessage{"e2": json.RawMessage(`{"a":[1]}`), "none": json.RawMessage("null")},
	})
}

func TestAuthKinds(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	key := string(rsaKey(t))
	must(t, os.WriteFile(filepath.Join(folder, "crm.pem"), []byte(key), 0o600))
	cfg, diags := Parse(map[string][]byte{"a.hcl": []byte(`
		database { url = env("DATABASE_URL") }
		defaults { headers = { Authorization = env("TOKEN"), X-Team = "growth" } }
		webhook "jwt" {
			topics = ["*"]
			url    = "https://example.com/"
			auth "jwt_bearer" {
				token_url   = "https://login.example.com/token"
				issuer      = env("TOKEN")
				subject     = "hooks@example.com"
				private_key = file("crm.pem")
			}
		}
		webhook "audience" {
			topics  = ["*"]
			url     = "https://example.com/"
			headers = { X-Own = "1" }
			auth "jwt_bearer" {
				token_url   = "https://login.example.com/token"
				issuer      = "i"
				audience    = "https://login.example.com"
				private_key = file("crm.pem")
			}
		}
		webhook "bearer" {
			topics = ["*"]
			url    = "https://example.com/"
			auth "bearer" { token = env("TOKEN") }
		}
		webhook "none" {
			topics = ["*"]
			url    = "https://example.com/"
		}`)}, withTestEnv(), WithFolder(folder))
	requireNone(t, cfg, diags)
	jwt := cfg.Webhook("jwt").Auth
	equal(t, "jwt", []string{jwt.Issuer, jwt.Subject, jwt.Audience, jwt.PrivateKey.Reveal()},
		[]string{environment["TOKEN"], "hooks@example.com", "https://login.example.com/token", key})
	equal(t, "audience", cfg.Webhook("audience").Auth.Audience, "https://login.example.com")
	equal(t, "bearer", cfg.Webhook("bearer").Auth.Token.Reveal(), environment["TOKEN"])
	// The header of defaults gives way.
	equal(t, "headers", names(cfg.Webhook("jwt").Headers), []string{"X-Team"})
	equal(t, "headers", names(cfg.Webhook("audience").Headers), []string{"X-Team", "X-Own"})
	equal(t, "headers", names(cfg.Webhook("none").Headers), []string{"Authorization", "X-Team"})

	encoded, err := json.Marshal(cfg)
	must(t, err)
	out := string(encoded)
	for _, w := range cfg.Webhooks[:3] {
		out += fmt.Sprintf("%v %+v %#v %s %x", w.Auth, *w.Auth, w.Auth, w.Auth, *w)
	}
	if strings.Contains(out, environment["TOKEN"]) || strings.Contains(out, "PRIVATE KEY") || strings.Contains(out, "hooks@") {
		t.Errorf("a secret is shown: %s", out)
	}
}

// TestLocalsOfSettings: a setting may be made of a top-level local that needs no event.
func TestLocalsOfSettings(t *testing.T) {
	t.Parallel()
	cfg := parseOne(t, `
		locals {
			host = "db"
			url  = "postgres://${local.host}/app?password=${env("TOKEN")}"
		}
		database { url = local.url }
		outbox { slot = "walpost_${local.host}" }
		webhook "w" {
			topics = ["*"]
			url    = "https://example.com/"
		}`)
	equal(t, "url", cfg.Database.URL.Reveal(), "postgres://db/app?password="+environment["TOKEN"])
	equal(t, "slot", cfg.Outbox.Slot, "walpost_db")
}

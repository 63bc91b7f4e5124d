//go:build unix

// Package integrations holds no code, only the tests that the integrations work: their test blocks pass, their requests
// are what the vendors' schemas say, and end to end a mock of each vendor takes them.
package integrations

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/internal/route"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The secrets that the tests set, and that nobody may ever see.
const (
	salesforceSecret = "3MVG9-consumer-secret-5512"
	hubspotToken     = "pat-eu1-hubspot-token-7714"
	zendeskToken     = "zendesk-api-token-9321"
	mailchimpKey     = "0123456789abcdef0123456789abcdef-us21"
	ga4Secret        = "ga4-api-secret-4417"
	segmentKey       = "segment-write-key-6671"
	n8nPassword      = "n8n-password-2280"
	hookPath         = "hook-path-3156"
)

// environments has the variables that each example's README says to set.
var environments = map[string]map[string]string{
	"salesforce": {
		"SALESFORCE_URL":          "https://acme.my.salesforce.com",
		"SALESFORCE_CONSUMER_KEY": "3MVG9-consumer-key", "SALESFORCE_CONSUMER_SECRET": salesforceSecret,
	},
	"salesforce/jwt": {
		"SALESFORCE_URL":          "https://acme.my.salesforce.com",
		"SALESFORCE_CONSUMER_KEY": "3MVG9-consumer-key", "SALESFORCE_USERNAME": "walpost@acme.example",
		"SALESFORCE_PRIVATE_KEY": privateKeyPEM,
	},
	"hubspot": {"HUBSPOT_TOKEN": hubspotToken},
	"zendesk": {
		"ZENDESK_URL": "https://acme.zendesk.com", "ZENDESK_EMAIL": "agent@acme.example", "ZENDESK_API_TOKEN": zendeskToken,
	},
	"mailchimp": {"MAILCHIMP_API_KEY": mailchimpKey, "MAILCHIMP_LIST_ID": "a1b2c3d4e5"},
	"ga4":       {"GA4_MEASUREMENT_ID": "G-ABC1234567", "GA4_API_SECRET": ga4Secret},
	"ga4/batch": {"GA4_MEASUREMENT_ID": "G-ABC1234567", "GA4_API_SECRET": ga4Secret},
	"zapier":    {"ZAPIER_HOOK_URL": "https://hooks.zapier.com/hooks/catch/123456/" + hookPath + "/"},
	"make":      {"MAKE_HOOK_URL": "https://hook.eu2.make.com/" + hookPath},
	"n8n": {
		"N8N_WEBHOOK_URL": "https://n8n.example.com/webhook/" + hookPath, "N8N_USER": "walpost", "N8N_PASSWORD": n8nPassword,
	},
	"slack":   {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0123/B0123/" + hookPath},
	"segment": {"SEGMENT_WRITE_KEY": segmentKey},
}

// forEach runs a test for each example.
func forEach(t *testing.T, test func(t *testing.T, example string)) {
	t.Helper()
	for _, example := range slices.Sorted(maps.Keys(environments)) {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			test(t, example)
		})
	}
}

// load reads an example as it stands, with its variables and those that are set.
func load(t testing.TB, example string, set map[string]string) *config.Config {
	t.Helper()
	cfg, diags := read(example, set)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return cfg
}

func read(example string, set map[string]string) (*config.Config, hcl.Diagnostics) {
	return config.Load(filepath.Join(example, "walpost.hcl"), config.WithEnv(func(name string) (string, bool) {
		if value, ok := set[name]; ok {
			return value, true
		}
		if name == "DATABASE_URL" {
			return "postgres://localhost/app", true
		}
		value, ok := environments[example][name]
		return value, ok
	}))
}

func compile(t testing.TB, cfg *config.Config, options ...route.Option) *route.Table {
	t.Helper()
	table, diags := route.Compile(cfg, options...)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return table
}

// Every walpost.hcl here loads without a problem or a warning, and its README says which variables to set. One warning is
// due: Zendesk asks for an Idempotency-Key.
func TestConfigurationsLoad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*/walpost.hcl")
	variants, err2 := filepath.Glob("*/*/walpost.hcl")
	if err != nil || err2 != nil || len(files)+len(variants) != len(environments) {
		t.Fatalf("there are %v and %v, and the tests know %d", files, variants, len(environments))
	}
	forEach(t, func(t *testing.T, example string) {
		cfg, diags := read(example, nil)
		for _, d := range diags {
			if example != "zendesk" || d.Summary != "Header Idempotency-Key" {
				t.Error(d)
			}
		}
		compile(t, cfg)
		folder, _, _ := strings.Cut(example, "/")
		readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		for name := range environments[example] {
			if !strings.Contains(string(readme), name+"=") {
				t.Errorf("the README doesn't say to set %s", name)
			}
		}
	})
}

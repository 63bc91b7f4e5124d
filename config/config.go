// Package config reads walpost's HCL (DESIGN §6) and hands back either an
// immutable, wholly checked [Config] or every problem at once as
// [hcl.Diagnostics], each with its place in the source and what to write instead.
//
// Settings are evaluated here, once. What depends on an event (a webhook's url,
// a rule's data, …) is type-checked here and stays an [hcl.Expression]: package
// internal/route compiles it. These expressions are native hclsyntax trees.
package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty/function"
)

// Config is a checked configuration. Nobody changes it after [Load] or [Parse]
// has returned it, so it may be shared between goroutines.
//
// Formatting it with any verb or encoding it as JSON shows no secret.
type Config struct {
	Database Database
	Outbox   Outbox
	Ledger   Ledger
	Admin    *Admin // nil: no admin listener
	Egress   Egress

	// Pack is the built-in rule pack: PackGist or PackNone.
	Pack string
	// Topics has the pack's topics and the user's, sorted by name.
	Topics []*Topic
	// Rules and Webhooks are in file order: files by name, then by line.
	Rules    []*Rule
	Webhooks []*Webhook
	// Locals has the top-level ones, in file order.
	Locals []Local
	// Tests has the `test` blocks, in file order.
	Tests []*Test

	// Functions is what an expression may call, env() and file() included, which
	// answer from what was read at load and never read again.
	Functions map[string]function.Function `json:"-"`
	// Files has every source by the name that ranges carry, for diagnostics. It is
	// also set when loading failed; everything else is then zero.
	Files map[string]*hcl.File `json:"-"`
}

// The built-in rule packs, the values of `rules = …`.
const (
	// PackGist has the 27 topics of the Gist webhooks guide.
	PackGist = "gist"
	// PackNone has nothing: only the topics that the configuration declares.
	PackNone = "none"
)

// Format writes what the configuration has, for every verb. Fields are not written:
// with a verb that doesn't fit, fmt prints what pointers lead to without asking
// a Secret's methods.
func (c Config) Format(f fmt.State, _ rune) {
	// fmt keeps the first write error itself.
	_, _ = fmt.Fprintf(f, "configuration of %d webhooks, %d rules and %d topics", len(c.Webhooks), len(c.Rules), len(c.Topics))
}

// Topic returns the topic of that name, or nil.
func (c *Config) Topic(name string) *Topic {
	for _, topic := range c.Topics {
		if topic.Name == name {
			return topic
		}
	}
	return nil
}

// Webhook returns the webhook of that name, or nil.
func (c *Config) Webhook(name string) *Webhook {
	for _, webhook := range c.Webhooks {
		if webhook.Name == name {
			return webhook
		}
	}
	return nil
}

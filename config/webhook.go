package config

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Webhook says which topics go to which URL, and how.
type Webhook struct {
	Name   string         // the block's label
	Title  string         // the `name` argument; by default Name
	Topics []string       // names and globs, see MatchTopic
	When   hcl.Expression `json:"-"` // a bool; nil: always

	Method     string         // GET, HEAD, POST, PUT, PATCH or DELETE; default POST
	URL        hcl.Expression `json:"-"` // a string whose scheme and host no event decides
	Query      []Param        // source order; appended to the URL; null: left out
	Headers    []Param        // source order, those of `defaults` first; null: left out
	BodyParams []Param        // source order
	Form       []Param        // source order; nil: no form body; null: left out
	Body       hcl.Expression `json:"-"` // nil: by Form or Envelope
	Envelope   Envelope

	Timeout   time.Duration   // of an attempt; default 10 s
	Retry     []time.Duration // before each retry; default 5 min, 1 h, 3 h; empty: no retries
	Expire    time.Duration   // after the commit, from when on nothing is sent; 0: never
	Success   []int           // statuses that count as delivered; nil: 2xx
	Permanent []int           // statuses that no retry follows; nil: none but 410
	RetryOn   []int           // statuses that are retried, whatever else says; nil: none

	// SuccessWhen decides over `response` whether a successful status is delivered:
	// null and false are not. PermanentWhen decides whether what isn't delivered is
	// final. WaitFor decides before a request over `event`: false puts it off. Each is
	// a bool; nil: there is none.
	SuccessWhen   hcl.Expression `json:"-"`
	PermanentWhen hcl.Expression `json:"-"`
	WaitFor       hcl.Expression `json:"-"`

	// OrderBy says over `event` whose deliveries go one after the other, in commit
	// order: those of which it is the same. A string, number, bool, or a list of them;
	// null: such an event has no order; nil: none has.
	OrderBy hcl.Expression `json:"-"`

	Locals  []Local  // the webhook's own, source order; they shadow Config.Locals
	Batch   *Batch   // nil: a request for each event
	Capture *Capture // nil: nothing is kept of a response
	Auth    *Auth    // nil: none but what headers say

	Enabled     bool
	Concurrency int   // requests at a time, at most; default 1000
	Auto        bool  // how many within Concurrency is for walpost to find; default true
	RateLimit   Rate  // requests in a time, at most; zero: no limit
	Breaker     bool  // a dead endpoint is probed, and not sent to
	Queue       int   // deliveries waiting in memory; default 1000
	Sign        *Sign // nil: not signed

	DeclRange hcl.Range
}

// Format writes the webhook's name, for every verb; see Config.Format for why.
func (w Webhook) Format(f fmt.State, _ rune) {
	// fmt keeps the first write error itself.
	_, _ = fmt.Fprintf(f, "webhook %q", w.Name)
}

// Param is a named expression: a header or a body parameter.
type Param struct {
	Name  string
	Value hcl.Expression `json:"-"`
}

// Sign holds the secrets of Standard Webhooks signatures, as "whsec_" and base64
// or as base64 alone.
type Sign struct {
	Secret   Secret
	Previous Secret // the secret that is being rotated out; empty: none
}

// Envelope is the shape of a webhook's default body.
type Envelope string

const (
	// EnvelopeGist is {"id","topic","created_at", …the data's own keys}; the default.
	EnvelopeGist Envelope = "gist"
	// EnvelopeStandard is Standard Webhooks' {"type","timestamp","data"}.
	EnvelopeStandard Envelope = "standard"
	// EnvelopeRaw is the data alone.
	EnvelopeRaw Envelope = "raw"
)

func (l *loader) decodeWebhooks() {
	taken := map[string]hcl.Range{}
	for _, src := range l.blocks["webhook"] {
		b := l.open(src)
		b.checkName(taken)
		l.config.Webhooks = append(l.config.Webhooks, b.decodeWebhook())
	}
	if len(l.config.Webhooks) == 0 && !l.broken {
		l.diags = append(l.diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning,
			Summary:  "No webhooks",
			Detail:   "Nothing will be sent. Write for example:\n\n  webhook \"crm\" {\n    topics = [\"contact.*\"]\n    url    = \"https://example.com/hooks\"\n  }",
		})
	}
}

func (b *block) decodeWebhook() *Webhook {
	b.paths, b.owner = nil, b.name
	b.within = b.webhookScopes()
	shared := b.shared(b.defaults)
	w := &Webhook{
		Name:        b.name,
		Title:       b.name,
		Locals:      b.within.locals.list(),
		Topics:      b.topics(),
		When:        b.condition("when", b.within.when, `event.type == "created"`),
		Method:      shared.method,
		URL:         b.url(),
		Query:       b.query(shared.method),
		Headers:     shared.headers,
		BodyParams:  b.bodyParams(shared),
		Form:        b.form(),
		Envelope:    shared.envelope,
		Timeout:     shared.timeout,
		Retry:       shared.retry,
		Expire:      shared.expire,
		Success:     shared.success,
		Permanent:   shared.permanent,
		RetryOn:     shared.retryOn,
		Enabled:     shared.enabled,
		Concurrency: shared.bound(),
		Auto:        shared.auto,
		RateLimit:   shared.rateLimit,
		Breaker:     shared.breaker,
		Queue:       shared.queue,
		DeclRange:   b.src.DefRange(),
	}
	if title, ok := b.text("name", "Salesforce leads"); ok {
		w.Title = title.value
	}
	if attr := b.argument("body"); attr != nil {
		w.Body = attr.Expr
		b.evaluate(attr.Expr, b.within.request)
	}
	w.SuccessWhen = b.condition("success_when", b.within.judge, "response.json.ok")
	w.PermanentWhen = b.condition("permanent_when", b.within.judge, `response.status == 400 && response.json.code == "gone"`)
	w.WaitFor = b.condition("wait_for", b.within.request, `captured("tickets", event.aggregate_id) != null`)
	w.OrderBy = b.orderBy(w)
	b.checkBody(w)
	w.Batch = b.batch(w)
	w.Capture = b.capture()
	w.Auth = b.auth(w)
	if sign := b.nested("sign"); sign != nil {
		w.Sign = sign.decodeSign()
	}
	b.checkPaths(w, b.paths)
	b.checkLiterals()
	b.checkReach(w)
	return w
}

// topics reads `topics`: names that exist, and globs that match one.
func (b *block) topics() []string {
	topics, there, ok := list(b, "topics", `a list of topics, such as ["lead.created", "contact.*"]`, func(expr hclsyntax.Expression) (string, bool) {
		topic, ok := b.loader.text(expr, "topics", `topics in quotes, such as "lead.created"`)
		return topic, ok && b.checkTopic(topic, expr.Range())
	})
	if there && ok && len(topics) == 0 {
		b.fail(b.argument("topics").Expr.Range(), `Empty "topics"`, "The webhook would get nothing. Write at least one topic; \"*\" stands for all.")
	}
	return valuesOf(topics)
}

func (b *block) checkTopic(topic string, at hcl.Range) bool {
	matches := func(name string) bool { return MatchTopic(topic, name) }
	switch {
	case slices.ContainsFunc(b.topicNames(), matches):
		return true
	case !strings.Contains(topic, "*"):
		b.unknownTopic(topic, at)
	default:
		b.missing(at, "No topic matches", "There is no topic that %q matches. \"walpost rules gist\" lists the built-in ones.", topic)
	}
	return false
}

// envelopeKeys are the top-level keys that an envelope sets, and a body parameter can't.
var envelopeKeys = map[Envelope][]string{
	EnvelopeGist:     {"id", "topic", "created_at"},
	EnvelopeStandard: {"type", "timestamp", "data"},
}

func (b *block) bodyParams(shared defaults) []Param {
	reserved := envelopeKeys[shared.envelope]
	if !hasBody(shared.method) {
		reserved = envelopeKeys[EnvelopeGist] // they are in the query
	}
	taken := map[string]hcl.Range{}
	return b.params("body_params", `{ source = "walpost" }`, b.within.request, func(name string, item hclsyntax.ObjectConsItem) bool {
		at := item.KeyExpr.Range()
		if slices.Contains(reserved, name) {
			b.fail(at, fmt.Sprintf("Reserved body parameter %q", name), "The envelope sets it. Choose another name, or write the whole body with body = { … }.")
			return false
		}
		if first, again := taken[name]; again {
			b.duplicate(at, first, fmt.Sprintf("body parameter %q", name))
			return false
		}
		taken[name] = at
		return true
	})
}

// hasBody reports whether a request of that method carries a body (DESIGN §4).
func hasBody(method string) bool { return method != "GET" && method != "HEAD" && method != "DELETE" }

// checkBody reports what `body` or `form` contradicts.
func (b *block) checkBody(w *Webhook) {
	whole := b.argument("body")
	if form := b.argument("form"); whole == nil {
		whole = form
	} else if form != nil {
		b.fail(form.NameRange, "Both body and form", "Each is the whole body. Leave one of the two out.")
	}
	if whole == nil {
		return
	}
	name := whole.Name
	if !hasBody(w.Method) {
		b.fail(whole.NameRange, "Body on "+w.Method, "A %s request carries no body: id, topic and body_params go into the query. Leave %s out, or choose POST, PUT or PATCH.", w.Method, name)
	}
	if other := b.argument("body_params"); other != nil {
		b.fail(other.NameRange, "Both "+name+" and body_params", "%s is the whole body, so that nothing could be added. Write the parameters into %s, or leave %s out.", name, name, name)
	}
	if other := b.argument("envelope"); other != nil {
		b.fail(other.NameRange, "Both "+name+" and envelope", "%s is the whole body, without an envelope. Leave one of the two out.", name)
	}
}

// minSignKey is the shortest signing key, in bytes. Standard Webhooks asks for 24 to
// 64; shorter ones are in use.
const minSignKey = 16

func (b *block) decodeSign() *Sign {
	sign := &Sign{}
	b.checkLiteral("secret", "sign")
	b.checkLiteral("previous", "sign")
	if secret, ok := b.secret("secret"); ok && b.checkSignKey("secret", secret) {
		sign.Secret = secret.value
	}
	// An empty previous secret is none, so that env("OLD", "") can be left in place.
	if previous, ok := b.secretOrEmpty("previous"); ok && previous.value != "" && b.checkSignKey("previous", previous) {
		sign.Previous = previous.value
	}
	return sign
}

// checkSignKey checks the form of a signing secret (Standard Webhooks, "Signature scheme").
func (b *block) checkSignKey(argument string, secret element[Secret]) bool {
	text := secret.value.Reveal()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	var why string
	switch {
	case text != strings.TrimSpace(text):
		why = "There is a space or line break around it. If it comes from file(), write trimspace(file(\"…\"))."
	case err != nil:
		why = "It is not valid Base64."
	case len(key) < minSignKey:
		why = fmt.Sprintf("It has %d bytes, and fewer than %d can be guessed.", len(key), minSignKey)
	default:
		return true
	}
	b.failSecret(secret.at, fmt.Sprintf("Invalid signing secret in %q", argument),
		"It must be \"whsec_\" and Base64, or Base64 alone. %s Make one with: echo \"whsec_$(openssl rand -base64 32)\"", why)
	return false
}

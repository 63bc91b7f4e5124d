package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// defaults is what a webhook has unless it says otherwise: what `defaults` says, else
// what the guide and DESIGN §4 say.
type defaults struct {
	method      string
	headers     []Param
	envelope    Envelope
	timeout     time.Duration
	retry       []time.Duration
	expire      time.Duration
	success     []int
	permanent   []int
	retryOn     []int
	enabled     bool
	concurrency int
	queue       int

	auto           bool
	concurrencyMax int
	rateLimit      Rate
	breaker        bool
}

func (l *loader) decodeDefaults() {
	l.defaults = defaults{
		method:   "POST",
		envelope: EnvelopeGist,
		timeout:  10 * time.Second,
		retry:    []time.Duration{5 * time.Minute, time.Hour, 3 * time.Hour},
		enabled:  true,
		queue:    1000,

		auto:           true,
		concurrencyMax: maxConcurrency,
	}
	if b := l.one("defaults"); b != nil {
		b.within = webhookScopes{request: b.requestScope(b.locals)}
		l.owner = "walpost"
		l.defaults = b.shared(l.defaults)
		b.checkLiterals()
	}
}

// shared reads the arguments that `defaults` and webhooks have in common, over what
// holds without them.
func (b *block) shared(d defaults) defaults {
	if method, ok := b.choice("method", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"); ok {
		d.method = method
	}
	d.headers = b.mergedHeaders(d.headers)
	if envelope, ok := b.choice("envelope", string(EnvelopeGist), string(EnvelopeStandard), string(EnvelopeRaw)); ok {
		d.envelope = Envelope(envelope)
	}
	if timeout, ok := b.duration("timeout", time.Millisecond, 5*time.Minute); ok {
		d.timeout = timeout
	}
	if retry, there, _ := list(b, "retry", `a list of durations, such as ["5m", "1h", "3h"]`, func(expr hclsyntax.Expression) (time.Duration, bool) {
		return b.loader.duration(expr, "retry", time.Second, 30*24*time.Hour)
	}); there {
		d.retry = valuesOf(retry)
		if len(retry) > 100 {
			b.fail(retry[100].at, "Too many retries", "A schedule has at most 100 retries.")
		}
	}
	if expire, ok := b.duration("expire", time.Second, 365*24*time.Hour); ok {
		d.expire = expire
	}
	b.statuses(&d)
	if enabled, ok := b.boolean("enabled"); ok {
		d.enabled = enabled
	}
	b.pacing(&d)
	if n, ok := b.integer("queue", 1, 1_000_000); ok {
		d.queue = n
	}
	return d
}

// statuses reads `success`, `permanent` and `retry_on`. 410 is in none of them: it
// disables the webhook, whatever else is set.
func (b *block) statuses(d *defaults) {
	success, there, ok := b.statusList("success", "[200, 201, 204]")
	if there {
		d.success = valuesOf(success)
		if ok && len(success) == 0 {
			b.fail(b.argument("success").Expr.Range(), `Empty "success"`, "No delivery could ever succeed. Leave the argument out for 2xx.")
		}
	}
	permanent, there, _ := b.statusList("permanent", "[400, 422]")
	if there {
		d.permanent = valuesOf(permanent)
		for _, status := range permanent {
			if slices.Contains(d.success, status.value) {
				b.fail(status.at, "Status both good and bad", "%d is in success, too. Leave it in one of the two.", status.value)
			}
		}
	}
	retryOn, there, _ := b.statusList("retry_on", "[403, 409]")
	if !there {
		return
	}
	d.retryOn = valuesOf(retryOn)
	for _, status := range retryOn {
		for argument, others := range map[string][]element[int]{"success": success, "permanent": permanent} {
			if slices.Contains(valuesOf(others), status.value) {
				b.fail(status.at, "Status with two meanings", "%d is in %s, too. Leave it in one of the two.", status.value, argument)
			}
		}
	}
}

func (b *block) statusList(argument, example string) (values []element[int], there, ok bool) {
	return list(b, argument, "a list of statuses, such as "+example, func(expr hclsyntax.Expression) (int, bool) {
		status, ok := b.loader.integer(expr, argument, 100, 599)
		if ok && status == 410 {
			b.fail(expr.Range(), "Status 410 has its own meaning", "An endpoint that answers 410 Gone is disabled, always. Leave 410 out.")
			return 0, false
		}
		return status, ok
	})
}

// mergedHeaders is the base's headers and the block's own, which win.
func (b *block) mergedHeaders(base []Param) []Param {
	own := b.headers()
	var merged []Param
	for _, param := range base {
		if !slices.ContainsFunc(own, func(p Param) bool { return strings.EqualFold(p.Name, param.Name) }) {
			merged = append(merged, param)
			b.checkInherited(param)
		}
	}
	return append(merged, own...)
}

// checkInherited checks a header of `defaults` as if it were written here: in a batch there
// is no `event`, and a local may be another one.
func (b *block) checkInherited(param Param) {
	expr, ok := param.Value.(hclsyntax.Expression)
	if !ok || b.within.locals == nil {
		return
	}
	before := b.diags
	b.diags = nil
	b.checkParam(expr, "headers", b.within.request)
	found := b.diags
	b.diags = before
	if found.HasErrors() {
		b.fail(b.src.DefRange(), fmt.Sprintf("Header %s of defaults can't be made here", param.Name),
			"%s Write the header here, or leave it out with: headers = { %s = null }", found[0].Detail, param.Name)
	}
}

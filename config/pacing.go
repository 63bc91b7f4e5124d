package config

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Rate is how often something may happen: at most N times in any window of length Per. The zero value is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// String writes the rate as `rate_limit` has it, such as "100/s"; "" without a limit.
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r.N > 0 && r.Per == u.per {
			return fmt.Sprintf("%d/%s", r.N, u.name)
		}
	}
	return ""
}

const (
	// maxRate bounds the number of a rate, since each start in a window is remembered.
	maxRate = 100_000
	// maxConcurrency bounds `concurrency`, and is what "auto" stays within by default: 1000 attempts of 20 ms are 50,000 a second,
	// more than two cores send, and nearly what all webhooks together may run.
	maxConcurrency = 1000
	// auto is the word for a concurrency that walpost finds.
	auto = "auto"
)

// rateUnits are in rising order; the full names are what people write by mistake.
var rateUnits = []struct {
	name, full string
	per        time.Duration
}{
	{"s", "second", time.Second},
	{"m", "minute", time.Minute},
	{"h", "hour", time.Hour},
}

// parseRate reads a whole number, a slash and a unit: "100/s".
func parseRate(s string) (Rate, error) {
	number, name, found := strings.Cut(s, "/")
	if !found {
		return Rate{}, errors.New("the unit is missing (/s, /m or /h)")
	}
	var per time.Duration
	for _, u := range rateUnits {
		switch word := strings.ToLower(strings.TrimSpace(name)); {
		case name == u.name:
			per = u.per
		case word == u.name, word == u.full, word == u.full[:3]:
			return Rate{}, fmt.Errorf("write %q as %q", "/"+name, "/"+u.name)
		}
	}
	if per == 0 {
		return Rate{}, fmt.Errorf("%q is no unit (/s, /m or /h)", "/"+name)
	}
	n, err := strconv.Atoi(number)
	switch {
	case err != nil && strings.Contains(number, "."):
		return Rate{}, errors.New(`the number isn't whole; for less than one in a unit take a larger one, as "90/m" for one and a half in a second`)
	case err != nil:
		return Rate{}, fmt.Errorf("%q is no whole number", number)
	case n < 1:
		return Rate{}, errors.New(`nothing could ever be sent; leave the webhook out for a while with enabled = false`)
	case n > maxRate:
		return Rate{}, fmt.Errorf("the number is at most %d; take a smaller unit, or leave the argument out", maxRate)
	}
	return Rate{N: n, Per: per}, nil
}

// rate reads an argument such as "100/s".
func (b *block) rate(argument string) (Rate, bool) {
	text, ok := b.text(argument, "100/s")
	if !ok {
		return Rate{}, false
	}
	r, err := parseRate(text.value)
	if err != nil {
		b.fail(text.at, fmt.Sprintf("Invalid %q", argument), `It must be a number of requests in a second, a minute or an hour, such as "100/s", "60/m" or "1000/h": %v.`, err)
		return Rate{}, false
	}
	return r, true
}

// pacing reads how fast a webhook may be sent to.
func (b *block) pacing(d *defaults) {
	if attr := b.argument("concurrency"); attr != nil {
		if n, isAuto, ok := b.concurrency(attr.Expr); ok {
			d.concurrency, d.auto = n, isAuto
		}
	}
	if n, ok := b.integer("concurrency_max", 1, maxConcurrency); ok {
		d.concurrencyMax = n
		if !d.auto && b.kind != "defaults" {
			b.warn(b.argument("concurrency_max").NameRange, `"concurrency_max" beside a number`,
				"It bounds what concurrency = \"auto\" finds, and has no effect here. Leave \"concurrency\" out, or write concurrency = %d alone.", n)
		}
	}
	if r, ok := b.rate("rate_limit"); ok {
		d.rateLimit = r
	}
	if breaker, ok := b.boolean("breaker"); ok {
		d.breaker = breaker
	}
}

// concurrency reads a number or "auto".
func (b *block) concurrency(expr hclsyntax.Expression) (n int, isAuto, ok bool) {
	if hcl.ExprAsKeyword(expr) == auto {
		b.fail(expr.Range(), `Invalid "concurrency"`, "Write it in quotes: concurrency = %q", auto)
		return 0, false, false
	}
	value, ok := b.public(expr, "concurrency")
	if !ok {
		return 0, false, false
	}
	if value.Type() == cty.String && value.AsString() == auto {
		return 0, true, true
	}
	need := fmt.Sprintf("a whole number from 1 to %d, or %q", maxConcurrency, auto)
	if value.Type() != cty.Number {
		b.wrongType(expr.Range(), "concurrency", value, need)
		return 0, false, false
	}
	exact, accuracy := value.AsBigFloat().Int64()
	if accuracy != big.Exact || exact < 1 || exact > maxConcurrency {
		b.fail(expr.Range(), `Invalid "concurrency"`, "It must be %s.", need)
		return 0, false, false
	}
	return int(exact), false, true
}

// bound is how many requests there may be at a time, whether that many are wise or not.
func (d *defaults) bound() int {
	if d.auto {
		return d.concurrencyMax
	}
	return d.concurrency
}

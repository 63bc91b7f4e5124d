package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Batch says that a request carries several events. A webhook's expressions for the
// request then see `events`, a list, and not `event`.
type Batch struct {
	Max  int           // events in a request; default 100
	Wait time.Duration // how long the first waits for more; default 1 s
	// Failed is a list of the ids of the events that a successful answer did not
	// accept, over `events` and `response`; nil: it accepted all.
	Failed hcl.Expression `json:"-"`

	DeclRange hcl.Range
}

func (b *block) batch(w *Webhook) *Batch {
	c := b.nested("batch")
	if c == nil {
		return nil
	}
	batch := &Batch{Max: 100, Wait: time.Second, DeclRange: c.src.DefRange()}
	if n, ok := c.integer("max", 1, 10_000); ok {
		batch.Max = n
	}
	if wait, ok := c.duration("wait", 0, 10*time.Second); ok {
		batch.Wait = wait
	}
	if attr := c.argument("failed"); attr != nil {
		batch.Failed = attr.Expr
		value, ok := c.evaluate(attr.Expr, b.within.judge)
		if ok && c.refuseSecret(value, attr.Expr.Range(), "which events failed") && !mayBe(value, isList) {
			c.wrongType(attr.Expr.Range(), "failed", value, "a list of event ids, such as [for e in response.json.errors : e.id]")
		}
	}
	b.checkBatch(w, c)
	return batch
}

// checkBatch reports what a request for several events contradicts.
func (b *block) checkBatch(w *Webhook, batch *block) {
	if !hasBody(w.Method) {
		b.fail(batch.src.DefRange(), "Batch with "+w.Method,
			"A %s request carries no body, so that there is no room for several events. Choose POST, PUT or PATCH.", w.Method)
	}
	if other := b.argument("body_params"); other != nil {
		b.fail(other.NameRange, "Both batch and body_params",
			"The body of a batch is a list of events, so that nothing can be added to it. Write the whole body with body = { … }.")
	}
	if other := b.argument("wait_for"); other != nil {
		b.fail(other.NameRange, "Both batch and wait_for",
			"A batch can't wait for one of its events. Leave one of the two out.")
	}
}

func isList(ty cty.Type) bool { return ty.IsTupleType() || ty.IsListType() || ty.IsSetType() }

func isText(ty cty.Type) bool { return ty == cty.String || ty == cty.Number }

package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// orderBy reads `order_by`: whose deliveries go one after the other.
func (b *block) orderBy(w *Webhook) hcl.Expression {
	attr := b.argument("order_by")
	if attr == nil {
		return nil
	}
	at := attr.Expr.Range()
	value, ok := b.evaluate(attr.Expr, b.within.order)
	if !ok || !b.refuseSecret(value, at, "an order, which is kept in the ledger") {
		return attr.Expr
	}
	isKey := func(ty cty.Type) bool { return isText(ty) || ty == cty.Bool || isList(ty) }
	switch bare, _ := value.UnmarkDeep(); {
	case bare.IsNull():
		b.warn(at, "order_by is null", "No event has an order. Write for example: order_by = event.aggregate_id")
	case !mayBe(value, isKey):
		b.wrongType(at, "order_by", value, "a string, number, bool, or a list of them, such as event.aggregate_id or [event.aggregate_type, event.aggregate_id]")
	case bare.IsWhollyKnown():
		b.warn(at, "order_by is the same for all events",
			"The webhook's deliveries go one at a time then, and one that fails holds all others until it is delivered or has failed for good. Write for example: order_by = event.aggregate_id")
	case w.Concurrency == 1:
		b.warn(at, "order_by with concurrency = 1",
			"Requests go one at a time, whatever their keys, so that a slow one keeps every key waiting. order_by keeps the order of a key at any concurrency: raise it, or leave it out.")
	case b.config.Outbox.Polled():
		b.warn(at, "order_by with polling",
			"Polling finds rows in the order of their transactions' ids, and of two that overlap the one with the lower id may have committed later. "+
				"A key comes in commit order if its transactions lock it before they write anything: select pg_advisory_xact_lock(hashtext(…)). docs/ordering.md says more; a stream asks for nothing.")
	}
	return attr.Expr
}

package route

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
)

// order is a webhook's `order_by`.
type order struct {
	by jsonExpr
	at hcl.Range
}

func (c *compiler) order(w *config.Webhook) *order {
	if w.OrderBy == nil {
		return nil
	}
	return &order{by: compileJSON(c.expression(w.OrderBy)), at: w.OrderBy.Range()}
}

// Orders reports whether the webhook has an order_by.
func (t *Table) Orders(webhook string) bool {
	w := t.webhooks[webhook]
	return w != nil && w.order != nil
}

// maxKey is the length of the longest key that is kept as it is, in bytes.
const maxKey = 200

// key returns what order_by makes of the scope's event: the text of a string, number or
// bool, the JSON text of a list of them. It is empty if the event has no order: for null,
// an empty string, and a list of nothing else.
func (s *scope) key(o *order) (string, *Problem) {
	s.allow()
	text, p := s.json(s.text[:0], o.by, o.at)
	if p != nil {
		return "", p
	}
	s.text = text
	key, ok := keyOf(text)
	if !ok {
		return "", &Problem{
			Summary: "Wrong type", Where: where(o.at),
			Detail: "order_by must be a string, a number, a bool, or a list of them.",
		}
	}
	return boundKey(key), nil
}

func keyOf(text []byte) (key string, ok bool) {
	switch string(text) {
	case "null":
		return "", true
	case "true", "false":
		return string(text), true
	}
	if len(text) > 0 && text[0] == '[' {
		return listKey(text)
	}
	return scalarText(text)
}

func listKey(text []byte) (key string, ok bool) {
	for elements := arrayElements(text); elements.next(); {
		element, ok := keyOf(elements.value)
		if !ok || elements.value[0] == '[' {
			return "", false
		}
		if element != "" {
			key = string(text)
		}
	}
	return key, true
}

// boundKey makes a key fit for the ledger and its index: one that is too long, or that a
// text column can't hold, ends in its SHA-256.
func boundKey(key string) string {
	if len(key) <= maxKey && utf8.ValidString(key) && !strings.Contains(key, "\x00") {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	head := key[:min(len(key), maxKey-2*len(sum)-1)]
	head = strings.ReplaceAll(strings.ToValidUTF8(head, ""), "\x00", "")
	return head + "#" + hex.EncodeToString(sum[:])
}

package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// query reads `query`, what is appended to the URL.
func (b *block) query(method string) []Param {
	taken := map[string]hcl.Range{}
	return b.params("query", `{ source = "walpost" }`, b.within.request, func(name string, item hclsyntax.ObjectConsItem) bool {
		if !hasBody(method) && slices.Contains(envelopeKeys[EnvelopeGist], name) {
			b.fail(item.KeyExpr.Range(), fmt.Sprintf("Reserved query parameter %q", name),
				"A %s request has the event's %s in the query already. Choose another name.", method, name)
			return false
		}
		return b.once(taken, "query parameter", name, item)
	})
}

// form reads `form`, a body as HTML forms have it. It is nil if there is none.
func (b *block) form() []Param {
	taken := map[string]hcl.Range{}
	return b.params("form", `{ email = event.data.contact.email }`, b.within.request, func(name string, item hclsyntax.ObjectConsItem) bool {
		return b.once(taken, "form parameter", name, item)
	})
}

// once reports a name that was there before.
func (b *block) once(taken map[string]hcl.Range, what, name string, item hclsyntax.ObjectConsItem) bool {
	at := item.KeyExpr.Range()
	if first, again := taken[name]; again {
		b.duplicate(at, first, fmt.Sprintf("%s %q", what, name))
		return false
	}
	taken[name] = at
	return true
}

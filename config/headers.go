package config

import (
	"net/http"
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// headerForm is RFC 9110's token, the form of a header's name.
var headerForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// reservedHeaders says of headers that a webhook can't set why.
var reservedHeaders = map[string]string{
	"Webhook-Id":        "walpost sets it to the delivery's id, which is the same at every attempt.",
	"Webhook-Timestamp": "walpost sets it to the attempt's time.",
	"Webhook-Signature": "walpost sets it; sign { secret = … } says with which secret.",
	"Webhook-Topic":     "walpost sets it to the topic.",
	"Webhook-Attempt":   "walpost sets it to the number of the attempt.",
	"Host":              "It follows from the url.",
	"Content-Length":    "It follows from the body.",
	"Connection":        connection,
	"Expect":            connection,
	"Keep-Alive":        connection,
	"Proxy-Connection":  connection,
	"Te":                connection,
	"Trailer":           connection,
	"Transfer-Encoding": connection,
	"Upgrade":           connection,
	"Accept-Encoding":   "walpost negotiates it, so that it can read the response.",
	"Content-Encoding":  "walpost sends the body as it is.",
}

const connection = "It belongs to the connection, which walpost looks after."

const idempotency = "Receivers should use the header webhook-id, which walpost sends with every request: it is the delivery's id, the same at every attempt, and no other delivery has it. " +
	"Set this one only for an endpoint that asks for it by name, to a value that is the same at every attempt, such as event.id."

// headers reads `headers`. Names are compared without regard to case.
func (b *block) headers() []Param {
	taken := map[string]hcl.Range{}
	return b.params("headers", `{ X-Source = "walpost" }`, b.within.request, func(name string, item hclsyntax.ObjectConsItem) bool {
		at := item.KeyExpr.Range()
		if !headerForm.MatchString(name) {
			b.fail(at, "Invalid header name", "A header's name has letters, digits and \"-\", without spaces or a colon.")
			return false
		}
		canonical := http.CanonicalHeaderKey(name)
		if why := reservedHeaders[canonical]; why != "" {
			b.fail(at, "Reserved header "+canonical, "It can't be set. %s", why)
			return false
		}
		if notSecret.MatchString(canonical) {
			b.warn(at, "Header "+canonical, "%s", idempotency)
		}
		if first, again := taken[canonical]; again {
			b.duplicate(at, first, "header "+canonical)
			return false
		}
		taken[canonical] = at
		return true
	})
}

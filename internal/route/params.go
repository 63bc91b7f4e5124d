package route

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// param is an entry of `body_params`, `query` or `form`.
type param struct {
	name  step
	key   []byte // quoted, with the colon
	value jsonExpr
	at    hcl.Range
}

// form is a webhook's `form`.
type form struct {
	params []param
}

// form makes a body as HTML forms have it (WHATWG URL, "application/x-www-form-urlencoded").
func (s *scope) form(f *form) ([]byte, *Problem) {
	body, p := s.appendParams([]byte{}, f.params)
	return bytes.TrimPrefix(body, []byte("&")), p
}

// query appends to a URL's query what the webhook adds to it, and for a request without
// a body what would be in there.
func (s *scope) query(text string, w *webhook, bodiless bool) (string, *Problem) {
	if len(w.query) == 0 && !bodiless {
		return text, nil
	}
	added, p := s.appendParams(nil, w.query)
	if p != nil {
		return "", p
	}
	if bodiless && s.event.row != nil {
		added = appendPair(added, "id", s.event.row.ID)
		added = appendPair(added, "topic", s.event.topic)
		added = appendPair(added, "created_at", strconv.FormatInt(createdAt(s.event.row).Unix(), 10))
	}
	if bodiless {
		if added, p = s.appendParams(added, w.params); p != nil {
			return "", p
		}
	}
	if len(added) > 0 && !strings.Contains(text, "?") {
		added[0] = '?'
	}
	return text + string(added), nil
}

// appendParams appends each parameter as &name=value. A string goes there as it is, an
// array as a parameter for each element, anything else as JSON; null is left out.
func (s *scope) appendParams(dst []byte, params []param) ([]byte, *Problem) {
	for i := range params {
		p := &params[i]
		value, problem := s.json(nil, p.value, p.at)
		if problem != nil {
			return nil, problem
		}
		if value = bytes.TrimSpace(value); !bytes.HasPrefix(value, []byte("[")) {
			dst = appendParam(dst, p.name.key, value)
			continue
		}
		for elements := arrayElements(value); elements.next(); {
			dst = appendParam(dst, p.name.key, elements.value)
		}
	}
	return dst, nil
}

// appendParam appends one pair whose value is JSON.
func appendParam(dst []byte, name string, value []byte) []byte {
	switch {
	case len(value) == 0 || string(value) == "null":
		return dst
	case value[0] == '"':
		return appendPair(dst, name, unquote(value[1:len(value)-1]))
	}
	return appendPair(dst, name, string(value))
}

func appendPair(dst []byte, name, value string) []byte {
	dst = append(append(dst, '&'), url.QueryEscape(name)...)
	return append(append(dst, '='), url.QueryEscape(value)...)
}

package config

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- RFC 9562 has version 5 made with it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Functions of texts and times that go-cty's standard library doesn't have.

var (
	baseName = textFunction(func(s string) (string, error) { return path.Base(s), nil })
	dirName  = textFunction(func(s string) (string, error) { return path.Dir(s), nil })

	urlDecode = textFunction(func(s string) (string, error) {
		text, err := url.QueryUnescape(s)
		switch {
		case err != nil:
			return "", errors.New("not URL-encoded text")
		case !utf8.ValidString(text):
			return "", errors.New("the decoded bytes are not UTF-8 text")
		}
		return text, nil
	})

	hmacSHA256 = textFunction2("key", "text", func(key, text string) (string, error) {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text)) // a hash never fails
		return hex.EncodeToString(mac.Sum(nil)), nil
	})

	uuidV5 = textFunction2("namespace", "name", func(namespace, name string) (string, error) {
		space, err := parseNamespace(namespace)
		if err != nil {
			return "", err
		}
		sum := sha1.Sum(append(space, name...)) // #nosec G401 -- see the import
		id := sum[:16]
		id[6] = id[6]&0x0f | 5<<4 // the version and variant of RFC 9562
		id[8] = id[8]&0x3f | 0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), nil
	})
)

// namespaces are those of RFC 9562, section 6.6.
var namespaces = map[string]string{
	"dns":  "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	"url":  "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
	"oid":  "6ba7b812-9dad-11d1-80b4-00c04fd430c8",
	"x500": "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
}

func parseNamespace(s string) ([]byte, error) {
	if known := namespaces[s]; known != "" {
		s = known
	}
	id, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(id) != 16 || len(s) != 36 {
		return nil, errors.New(`the namespace must be "dns", "url", "oid", "x500" or a UUID`)
	}
	return id, nil
}

// unixTime is the whole seconds since 1970, rounded down.
var unixTime = function.New(&function.Spec{
	Params:       []function.Parameter{{Name: "timestamp", Type: cty.String}},
	Type:         function.StaticReturnType(cty.Number),
	RefineResult: notNull,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		t, err := parseTime(args[0], 0)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.NumberIntVal(t.Unix()), nil
	},
})

// timeCompare is Terraform's timecmp.
var timeCompare = function.New(&function.Spec{
	Params:       []function.Parameter{{Name: "timestamp_a", Type: cty.String}, {Name: "timestamp_b", Type: cty.String}},
	Type:         function.StaticReturnType(cty.Number),
	RefineResult: notNull,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		a, err := parseTime(args[0], 0)
		if err != nil {
			return cty.NilVal, err
		}
		b, err := parseTime(args[1], 1)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.NumberIntVal(int64(a.Compare(b))), nil
	},
})

func parseTime(value cty.Value, argument int) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value.AsString())
	if err != nil {
		return time.Time{}, function.NewArgErrorf(argument, `not a time such as "2026-01-02T03:04:05Z"`)
	}
	return t, nil
}

// textFunction2 is textFunction for two strings.
func textFunction2(first, second string, f func(a, b string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params:       []function.Parameter{{Name: first, Type: cty.String}, {Name: second, Type: cty.String}},
		Type:         function.StaticReturnType(cty.String),
		RefineResult: notNull,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			out, err := f(args[0].AsString(), args[1].AsString())
			if err != nil {
				return cty.NilVal, err
			}
			return cty.StringVal(out), nil
		},
	})
}

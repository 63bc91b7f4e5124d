package ruletest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// PrettyJSON gives JSON text in the one form that equal values share: indented, keys sorted, numbers without exponent.
// Text that is no JSON stays as it is.
func PrettyJSON(text []byte) string {
	value, err := decode(text)
	if err != nil {
		return string(text)
	}
	var b strings.Builder
	writeJSON(&b, value, "")
	return b.String()
}

var errMore = errors.New("there is more than one JSON value")

func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errMore
	}
	return value, nil
}

// maxIndent bounds the indentation, in characters: deeply nested text would else grow with the square of its depth.
const maxIndent = 100

func writeJSON(b *strings.Builder, value any, indent string) {
	inner := indent
	if len(indent) < maxIndent {
		inner += "  "
	}
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			b.WriteString("{}")
			return
		}
		b.WriteString("{")
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n" + inner + quote(key) + ": ")
			writeJSON(b, v[key], inner)
		}
		b.WriteString("\n" + indent + "}")
	case []any:
		if len(v) == 0 {
			b.WriteString("[]")
			return
		}
		b.WriteString("[")
		for i, element := range v {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n" + inner)
			writeJSON(b, element, inner)
		}
		b.WriteString("\n" + indent + "]")
	case string:
		b.WriteString(quote(v))
	case json.Number:
		b.WriteString(canonical(v.String()))
	case bool:
		b.WriteString(strconv.FormatBool(v))
	default:
		b.WriteString("null")
	}
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string has a JSON form
	return strings.TrimSuffix(b.String(), "\n")
}

// maxDigits bounds what a number is written out to; a larger one stays as it came.
const maxDigits = 1000

// canonical gives a number in plain decimals, so that 1, 1.0 and 1e0 are the same text.
func canonical(number string) string {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(number), "e")
	if e, err := strconv.Atoi(exponent); scientific && (err != nil || e > maxDigits || e < -maxDigits) {
		return number
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return number
	}
	if value.IsInt() {
		return value.Num().String()
	}
	// A decimal fraction ends: at the latest after the digits that it came with.
	_, fraction, _ := strings.Cut(mantissa, ".")
	places := len(fraction)
	if e, err := strconv.Atoi(exponent); err == nil && e < 0 {
		places -= e
	}
	return strings.TrimRight(value.FloatString(places), "0")
}

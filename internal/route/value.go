package route

import (
	"bytes"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
)

const (
	// maxDepth is how deeply JSON may be nested where an expression needs its
	// value. Text that is only passed through has no limit.
	maxDepth = 512
	// maxDigits bounds a number's digits before and after the point, so that no
	// short text ("1e999999999") turns into gigabytes. PostgreSQL's numeric, and so
	// jsonb, has at most 131072 and 16383.
	maxDigits = 150_000
	// precision is the least precision of a number in bits, cty's own: 154 digits.
	precision = 512
)

var (
	errSyntax = errors.New("the JSON text is malformed")
	errDepth  = errors.New("the JSON text is nested more than " + strconv.Itoa(maxDepth) + " levels deep")
	errNumber = errors.New("a number has more than " + strconv.Itoa(maxDigits) + " digits")
)

// decodeJSON returns the value of the JSON text: objects become cty objects, arrays
// tuples, and numbers keep every digit.
func decodeJSON(text []byte) (cty.Value, error) {
	d := decoder{text: text}
	value, err := d.value(0)
	if err != nil {
		return cty.NilVal, err
	}
	if skipSpace(text, d.at) != len(text) {
		return cty.NilVal, errSyntax
	}
	return value, nil
}

// decoder turns JSON text into a value.
type decoder struct {
	text []byte
	at   int
}

// peek returns the next byte that is not white space, or 0 at the end.
func (d *decoder) peek() byte {
	d.at = skipSpace(d.text, d.at)
	if d.at == len(d.text) {
		return 0
	}
	return d.text[d.at]
}

// take skips the byte if it is the next one that is not white space.
func (d *decoder) take(c byte) bool {
	if d.peek() != c {
		return false
	}
	d.at++
	return true
}

func (d *decoder) value(depth int) (cty.Value, error) {
	if depth > maxDepth {
		return cty.NilVal, errDepth
	}
	switch d.peek() {
	case '{':
		return d.object(depth)
	case '[':
		return d.tuple(depth)
	case '"':
		s, err := d.string()
		return cty.StringVal(s), err
	}
	start := d.at
	for d.at < len(d.text) && isScalarByte(d.text[d.at]) {
		d.at++
	}
	switch text := d.text[start:d.at]; string(text) {
	case "null":
		return cty.NullVal(cty.DynamicPseudoType), nil
	case "true":
		return cty.True, nil
	case "false":
		return cty.False, nil
	default:
		return decodeNumber(text)
	}
}

func (d *decoder) string() (string, error) {
	end := skipString(d.text, d.at)
	if end < 0 {
		return "", errSyntax
	}
	raw := d.text[d.at+1 : end-1]
	d.at = end
	return unquote(raw), nil
}

func (d *decoder) object(depth int) (cty.Value, error) {
	d.at++
	if d.take('}') {
		return cty.EmptyObjectVal, nil
	}
	attributes := map[string]cty.Value{}
	for {
		if d.peek() != '"' {
			return cty.NilVal, errSyntax
		}
		key, err := d.string()
		if err != nil || !d.take(':') {
			return cty.NilVal, errSyntax
		}
		value, err := d.value(depth + 1)
		if err != nil {
			return cty.NilVal, err
		}
		attributes[cty.NormalizeString(key)] = value
		if d.take('}') {
			return cty.ObjectVal(attributes), nil
		}
		if !d.take(',') {
			return cty.NilVal, errSyntax
		}
	}
}

func (d *decoder) tuple(depth int) (cty.Value, error) {
	d.at++
	if d.take(']') {
		return cty.EmptyTupleVal, nil
	}
	var elements []cty.Value
	for {
		value, err := d.value(depth + 1)
		if err != nil {
			return cty.NilVal, err
		}
		elements = append(elements, value)
		if d.take(']') {
			return cty.TupleVal(elements), nil
		}
		if !d.take(',') {
			return cty.NilVal, errSyntax
		}
	}
}

// decodeNumber returns the number of that text with at least cty's precision, and
// more where it takes more to keep every digit.
func decodeNumber(text []byte) (cty.Value, error) {
	if len(text) == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return cty.NilVal, errSyntax
	}
	if len(text) <= 18 {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return cty.NumberVal(new(big.Float).SetPrec(precision).SetInt64(n)), nil
		}
	}
	digits, exponent, err := measure(text)
	if err != nil {
		return cty.NilVal, err
	}
	if max(len(text), digits+exponent, -exponent) > maxDigits {
		return cty.NilVal, errNumber
	}
	bits := max(precision, 4*uint(digits+max(exponent, 0))) // log2(10) < 4
	f, _, err := big.ParseFloat(string(text), 10, bits, big.ToNearestEven)
	if err != nil {
		return cty.NilVal, errSyntax
	}
	return cty.NumberVal(f), nil
}

// measure returns how many digits a number has between its first and its last one
// that isn't zero, and by which power of ten they are to be multiplied: 1 and 3 of
// both 1000 and 1e3, so that equal numbers get equal precision.
func measure(text []byte) (digits, exponent int, err error) {
	mantissa := bytes.TrimPrefix(text, []byte("-"))
	if i := bytes.IndexAny(mantissa, "eE"); i >= 0 {
		if exponent, err = strconv.Atoi(string(mantissa[i+1:])); errors.Is(err, strconv.ErrRange) {
			return 0, 0, errNumber
		} else if err != nil {
			return 0, 0, errSyntax
		}
		mantissa = mantissa[:i]
	}
	if point := bytes.IndexByte(mantissa, '.'); point >= 0 {
		fraction := bytes.TrimRight(mantissa[point+1:], "0")
		exponent -= len(fraction)
		mantissa = append(bytes.Clone(mantissa[:point]), fraction...)
	}
	mantissa = bytes.TrimLeft(mantissa, "0")
	significant := bytes.TrimRight(mantissa, "0")
	if len(significant) == 0 {
		return 0, 0, nil
	}
	return len(significant), exponent + len(mantissa) - len(significant), nil
}

// checkMagnitude refuses a number that would be too long if it were written out. An
// infinite one, which HCL makes of a division by zero, is short.
func checkMagnitude(f *big.Float) error {
	const maxBits = maxDigits * 4 // log2(10) < 4
	if exponent := f.MantExp(nil); exponent > maxBits || exponent < -maxBits {
		return errNumber
	}
	return nil
}

var errUnencodable = errors.New("the value has no JSON form")

// appendJSON appends the JSON text of the value: numbers with every digit, the
// keys of objects and maps sorted, marks ignored.
func appendJSON(dst []byte, value cty.Value) ([]byte, error) {
	value, _ = value.Unmark()
	if !value.IsKnown() {
		return dst, errUnencodable
	}
	if value.IsNull() {
		return append(dst, "null"...), nil
	}
	switch t := value.Type(); {
	case t == cty.String:
		return appendString(dst, value.AsString()), nil
	case t == cty.Number:
		return appendNumber(dst, value.AsBigFloat())
	case t == cty.Bool:
		return strconv.AppendBool(dst, value.True()), nil
	case t.IsTupleType(), t.IsListType(), t.IsSetType():
		return appendElements(dst, value)
	case t.IsObjectType(), t.IsMapType():
		return appendMembers(dst, value)
	}
	return dst, errUnencodable
}

func appendElements(dst []byte, value cty.Value) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	for it := value.ElementIterator(); it.Next(); first = false {
		if !first {
			dst = append(dst, ',')
		}
		_, element := it.Element()
		var err error
		if dst, err = appendJSON(dst, element); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendMembers(dst []byte, value cty.Value) ([]byte, error) {
	entries := value.AsValueMap()
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(entries)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, key), ':')
		var err error
		if dst, err = appendJSON(dst, entries[key]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendNumber appends the shortest decimal that has the number's value.
func appendNumber(dst []byte, f *big.Float) ([]byte, error) {
	if n, accuracy := f.Int64(); accuracy == big.Exact {
		return strconv.AppendInt(dst, n, 10), nil
	}
	if f.IsInf() {
		return dst, errUnencodable
	}
	if err := checkMagnitude(f); err != nil {
		return dst, err
	}
	return f.Append(dst, 'f', -1), nil
}

// appendString appends the string as JSON. Only what must be escaped is.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

package route

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
)

// at compiles a path: keys, and numbers for positions.
func at(t testing.TB, path ...any) []step {
	t.Helper()
	steps := make([]step, len(path))
	for i, part := range path {
		switch part := part.(type) {
		case string:
			steps[i] = attrStep(part)
		case int:
			steps[i], _ = indexStep(cty.NumberIntVal(int64(part)))
		case cty.Value:
			steps[i], _ = indexStep(part)
		default:
			t.Fatalf("no step: %v", part)
		}
	}
	return steps
}

func TestLookup(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		path []any
		want string // "-": nothing
	}{
		{` {"a": 1} `, nil, `{"a": 1}`},
		{`{"a": {"b": [10, {"c": "x,]}"}, 30]}}`, []any{"a", "b", 1, "c"}, `"x,]}"`},
		{`{"a": {"b": [10, {"c": "x"}, 30]}}`, []any{"a", "b", 2}, `30`},
		{`{"a": {"b": [10]}}`, []any{"a", "b", 1}, "-"},
		{`{"a": {"b": []}}`, []any{"a", "b", 0}, "-"},
		{`{"a": {"b": [1]}}`, []any{"a", "b", -1}, "-"},
		{`{"a": {"b": [1]}}`, []any{"a", "b", "length"}, "-"},
		{`{"a": [1, 2]}`, []any{"a", cty.StringVal("1")}, "2"},
		{`{"a": {"1": "one"}}`, []any{"a", 1}, `"one"`},
		{`{"a": null}`, []any{"a"}, "null"},
		{`{"a": null}`, []any{"a", "b", "c"}, "-"},
		{`{"a": "text"}`, []any{"a", "b"}, "-"},
		{`{"a": 5}`, []any{"a", 0}, "-"},
		{`{}`, []any{"a"}, "-"},
		{`{"a": 1, "b": {"a": 2}, "a": 3}`, []any{"a"}, "3"},
		{`{"a": {"b": 1}, "a": {"c": 2}}`, []any{"a", "b"}, "-"},
		{`{"a\"b": 1}`, []any{`a"b`}, "1"},
		{`{"\u0061": 1}`, []any{"a"}, "1"},
		{`{"a\\n": 1, "a\n": 2}`, []any{`a\n`}, "1"},
		{`{"a\\n": 1, "a\n": 2}`, []any{"a\n"}, "2"},
		{`{"\ud83d\ude00": 1}`, []any{"😀"}, "1"},
		{`{"é": "one code point"}`, []any{"é"}, `"one code point"`},
		{"{\"e\u0301\": \"two\"}", []any{"é"}, `"two"`},
		{`{"a": "\\", "b": "\\\""}`, []any{"b"}, `"\\\""`},
		{"{\n\t\"a\" :\r [ 1 , 2 ] }", []any{"a", 1}, "2"},
		{`{"a": true, "b": -1.5e+3}`, []any{"b"}, "-1.5e+3"},
		// Malformed: nothing is found, and nothing else happens.
		{``, []any{"a"}, "-"},
		{`{"a"`, []any{"a"}, "-"},
		{`{"a": `, []any{"a"}, "-"},
		{`{"a": 1`, []any{"a"}, "-"},
		{`{"a": [1, `, []any{"a", 1}, "-"},
		{`{"a": [`, []any{"a", 0}, "-"},
		{`["`, []any{0}, "-"},
	}
	for _, tt := range tests {
		text, found := lookup([]byte(tt.text), at(t, tt.path...))
		got := "-"
		if found {
			got = string(text)
		}
		if got != tt.want {
			t.Errorf("%s at %v = %s, want %s", tt.text, tt.path, got, tt.want)
		}
	}
}

func TestLookupOfWhatIsNotThereAllocatesNothing(t *testing.T) {
	text := []byte(`{"contact": {"name": "Ada", "tags": ["a", "b"], "n": 1}, "z": "end"}`)
	path := at(t, "contact", "company", "name")
	if n := testing.AllocsPerRun(100, func() {
		if _, found := lookup(text, path); found {
			t.Fatal("found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNumbersKeepEveryDigit(t *testing.T) {
	t.Parallel()
	for _, number := range []string{
		"0", "-1", "123456789012345678", "9223372036854775807", "9223372036854775808",
		"12345678901234567890123456789012345678901234567890",
		"0.1", "-0.000000000000000000000000000000000000000000001",
		"3.14159265358979323846264338327950288419716939937510582097494459",
		"1" + strings.Repeat("0", 400) + "1",
		strings.Repeat("123456789", 100) + "." + strings.Repeat("987654321", 100),
		"0." + strings.Repeat("0", 300) + "7",
	} {
		value, err := decodeJSON([]byte(number))
		if err != nil {
			t.Fatalf("%s: %v", number, err)
		}
		text, err := appendJSON(nil, value)
		if err != nil || string(text) != number {
			t.Errorf("%s became %s, %v", number, text, err)
		}
	}
	for _, number := range []string{"1e999999999", "-1E+150001", "1e-999999999999999999999", strings.Repeat("1", maxDigits+1)} {
		if _, err := decodeJSON([]byte(number)); err == nil || err.Error() != errNumber.Error() {
			t.Errorf("%.20s: error %v", number, err)
		}
	}
	value, err := decodeJSON([]byte("1e3"))
	if text, _ := appendJSON(nil, value); err != nil || string(text) != "1000" {
		t.Errorf("1e3 became %s, %v", text, err)
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	nested := func(depth int) []byte {
		return []byte(strings.Repeat(`{"a":[`, depth/2) + "1" + strings.Repeat("]}", depth/2))
	}
	if _, err := decodeJSON(nested(maxDepth)); err != nil {
		t.Errorf("%d levels: %v", maxDepth, err)
	}
	if _, err := decodeJSON(nested(maxDepth + 2)); err == nil {
		t.Error("too deep a text was decoded")
	}
	deep := nested(2_000_000)
	if skipValue(deep, 0) != len(deep) {
		t.Error("a very deep text can't be skipped")
	}
}

func TestAppendJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, value := range []cty.Value{
		cty.DynamicVal, cty.UnknownVal(cty.String), cty.PositiveInfinity,
		cty.CapsuleVal(eventType, &event{}), cty.TupleVal([]cty.Value{cty.DynamicVal}),
		cty.NumberVal(new(big.Float).SetMantExp(big.NewFloat(1), maxDigits*5)),
	} {
		if text, err := appendJSON(nil, value); err == nil {
			t.Errorf("%#v became %.40s", value, text)
		}
	}
	marked := cty.ObjectVal(map[string]cty.Value{
		"b": cty.StringVal("x\x01\u2028</é").Mark("secret"),
		"a": cty.ListVal([]cty.Value{cty.True}).Mark("secret"),
		"c": cty.MapVal(map[string]cty.Value{"k": cty.NullVal(cty.Number)}),
	}).Mark("secret")
	text, err := appendJSON(nil, marked)
	if want := `{"a":[true],"b":"x\u0001` + "\u2028" + `</é","c":{"k":null}}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}

// FuzzJSON compares the decoder and the path reader with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, 2.5, "x\u00e9\ud83d\ude00\ud800", null, true], "a": {}}`, `"\u0000\b\f\/"`, `[[[]]]`, `{"":{"":1}}`,
		"\"\xff\"", `-0`, `1e5`, `{"a":1,"b":{"a":2}}`, ` [ 1 , 2 ] `, `{"e\u0301":1,"\u00e9":2}`, `[1,]`, `{"a":1,}`, `tru`, `"`,
	} {
		f.Add([]byte(seed), "a", 0)
	}
	f.Fuzz(func(t *testing.T, text []byte, key string, position int) {
		// Whatever the bytes: no panic, and nothing but a part of the text.
		for _, path := range [][]step{at(t, key), at(t, position), at(t, key, position, key)} {
			if part, found := lookup(text, path); found && !bytes.Contains(text, part) {
				t.Errorf("%q is not in %q", part, text)
			}
		}
		value, err := decodeJSON(text)
		if !json.Valid(text) {
			return
		}
		if err != nil {
			if tooMuch(text) {
				return
			}
			t.Fatalf("%q: %v", text, err)
		}
		want := reference(t, text)
		if !same(value, want) {
			t.Errorf("%q became %#v, want %#v", text, value, want)
		}
		again, err := appendJSON(nil, value)
		if err != nil || !json.Valid(again) {
			t.Fatalf("%q written as %q: %v", text, again, err)
		}
		if back, err := decodeJSON(again); err != nil || !same(back, value) {
			t.Errorf("%q written as %q is %#v, %v", text, again, back, err)
		}
		compareLookup(t, text, want, at(t, key)[0])
		compareLookup(t, text, want, at(t, position)[0])
	})
}

// compareLookup compares the path reader with reaching into the whole value.
func compareLookup(t *testing.T, text []byte, whole cty.Value, path step) {
	t.Helper()
	got := null
	if part, found := lookup(text, []step{path}); found {
		var err error
		if got, err = decodeJSON(part); err != nil {
			t.Fatalf("%q at %q: %v", text, path.key, err)
		}
	}
	if want := reach(whole, &path); !same(got, want) {
		t.Errorf("%q at %q is %#v, want %#v", text, path.key, got, want)
	}
}

// tooMuch reports whether the text goes beyond this package's limits.
func tooMuch(text []byte) bool {
	return len(text) > maxDepth || bytes.ContainsAny(text, "eE")
}

func same(a, b cty.Value) bool { return a.RawEquals(b) }

// reference decodes by encoding/json.
func reference(t testing.TB, text []byte) cty.Value {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return referenceValue(t, decoder)
}

// referenceValue reads tokens, as only those show all of several equal keys.
func referenceValue(t testing.TB, decoder *json.Decoder) cty.Value {
	t.Helper()
	token, err := decoder.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch token := token.(type) {
	case nil:
		return null
	case bool:
		return cty.BoolVal(token)
	case string:
		return cty.StringVal(token)
	case json.Number:
		value, err := decodeNumber([]byte(token))
		if err != nil {
			t.Skip("beyond the limits")
		}
		if f, err := strconv.ParseFloat(string(token), 64); err == nil {
			if got, _ := value.AsBigFloat().Float64(); got != f {
				t.Errorf("%s became %v", token, got)
			}
		}
		return value
	case json.Delim:
		if token == '[' {
			elements := []cty.Value{}
			for decoder.More() {
				elements = append(elements, referenceValue(t, decoder))
			}
			_, _ = decoder.Token()
			return cty.TupleVal(elements)
		}
		attributes := map[string]cty.Value{}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				t.Fatal(err)
			}
			attributes[cty.NormalizeString(key.(string))] = referenceValue(t, decoder)
		}
		_, _ = decoder.Token()
		return cty.ObjectVal(attributes)
	}
	t.Fatalf("token %v", token)
	return cty.NilVal
}

func TestUnquoteLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`"\ud800"`, `"\ud800\ud800\udc00"`, `"\udc00x"`, `"\ud83d\ude00"`, `"\/\b\f\n\r\t\"\\"`, "\"\xc3\"", "\"a\xff\xfeb\\n\xff\"", `"\u0041\u00DF\uabCD"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if got := unquote([]byte(text[1 : len(text)-1])); got != want || !utf8.ValidString(got) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

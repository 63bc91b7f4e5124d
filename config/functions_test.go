package config

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// eval evaluates an expression with all functions and some of an event.
func eval(t *testing.T, src string) (cty.Value, hcl.Diagnostics) {
	t.Helper()
	expr, diags := hclsyntax.ParseExpression([]byte(src), "test.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", src, diags)
	}
	return expr.Value(&hcl.EvalContext{
		Functions: functions(newReading()),
		Variables: map[string]cty.Value{"event": cty.ObjectVal(map[string]cty.Value{
			"created_at": cty.StringVal("2026-03-04T05:06:07Z"),
			"unknown":    cty.UnknownVal(cty.String),
			"list":       cty.UnknownVal(cty.List(cty.Bool)),
			"dynamic":    cty.DynamicVal,
		})},
	})
}

// TestFunctionExamples: each function of the reference has examples, and they are true.
func TestFunctionExamples(t *testing.T) {
	t.Parallel()
	docs := FunctionDocs()
	for _, doc := range docs {
		if len(doc.Examples) == 0 {
			t.Errorf("%s: no example", doc.Name)
		}
		for _, example := range doc.Examples {
			if !strings.Contains(example.Call, doc.Name+"(") {
				t.Errorf("%s: example %s", doc.Name, example.Call)
			}
			if example.Result == "" {
				continue
			}
			got, diags := eval(t, example.Call)
			want, wantDiags := eval(t, example.Result)
			if diags.HasErrors() || wantDiags.HasErrors() || !got.RawEquals(want) {
				t.Errorf("%s: %s is %#v, %v; want %#v", doc.Name, example.Call, got, diags, want)
			}
		}
	}
	if got, want := len(docs), len(functions(newReading())); got != want {
		t.Errorf("%d functions are described, and there are %d", got, want)
	}
}

// TestFunctions has what the reference leaves out, as expressions that must be true.
func TestFunctions(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		`alltrue([])`, `alltrue([true, "true"])`, `!alltrue([null])`, `!anytrue([])`, `!anytrue([null])`,
		`!can(base64decode("%"))`, `!can(base64decode("//79"))`, `can(1)`,
		`coalesce(0, 1) == 0`, `coalesce("", null) == null`,
		`!endswith("walpost", "wal")`, `!startswith("walpost", "post")`, `!strcontains("walpost", "x")`,
		`length({ a = 1 }) == 1`, `length(tomap({ a = 1 })) == 1`, `!can(length(7))`,
		`md5("") == "d41d8cd98f00b204e9800998ecf8427e"`,
		`replace("ab", "/(a)(b)/", "$2$1") == "ba"`, `replace("a/b", "/", "-") == "a-b"`, `!can(replace("a", "/(/", ""))`,
		`basename("/") == "/"`, `dirname("a") == "."`,
		`!can(urldecode("%"))`, `!can(urldecode("%ff"))`,
		`unixtime("1969-12-31T23:59:59.5Z") == -1`, `unixtime("2026-03-04T06:06:07.999999+01:00") == 1772600767`, `!can(unixtime("yesterday"))`,
		`timecmp("2026-03-04T05:06:07Z", "2026-03-04T05:06:08Z") == -1`, `timecmp("2026-03-04T05:06:07.1Z", "2026-03-04T05:06:07Z") == 1`,
		`!can(timecmp("x", "2026-03-04T05:06:08Z"))`, `!can(timecmp("2026-03-04T05:06:08Z", "x"))`,
		`uuidv5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com") == uuidv5("dns", "www.example.com")`,
		`!can(uuidv5("dsn", "a"))`, `!can(uuidv5("6ba7b8109dad11d180b400c04fd430c8", "a"))`,
		`hmac_sha256("", "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"`,
		`sum([]) == 0`, `sum(["1", 2]) == 3`, `!can(sum([null]))`, `!can(sum(["x"]))`,
		`sum([0.1, 0.2]) == 0.3`, `sum([9007199254740993, 1]) == 9007199254740994`,
		`!can(one(["a", "b"]))`, `!can(one("a"))`, `one(toset(["a"])) == "a"`,
		`index(["a", "1"], 1) == 1`, `index([{ a = 1 }], { a = 1 }) == 0`, `!can(index(["a"], "b"))`, `!can(index({ a = 1 }, 1))`,
		`length(matchkeys(["x"], ["a"], ["b"])) == 0`, `!can(matchkeys(["x"], ["a", "b"], ["b"]))`, `matchkeys(["x", "y"], [1, 2], [2]) == tolist(["y"])`,
		`length(transpose({})) == 0`, `!can(transpose({ a = null }))`, `!can(transpose({ a = [null] }))`,
	} {
		value, diags := eval(t, src)
		if diags.HasErrors() || !value.RawEquals(cty.True) {
			t.Errorf("%s is %#v, %v", src, value, diags)
		}
	}
}

func TestFunctionsOfUnknown(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		`length(event.unknown)`, `length(event.dynamic)`, `length([event.unknown])`, `coalesce(event.unknown, "a")`, `coalesce("", event.dynamic)`,
		`alltrue([tobool(event.unknown)])`, `anytrue(event.list)`, `replace(event.unknown, "a", "b")`, `md5(event.dynamic)`, `startswith(event.unknown, "a")`,
		`base64decode(event.unknown)`, `lookup(event.dynamic, "a", 1)`, `merge(event.dynamic, { a = 1 })`, `sum(event.dynamic)`, `sum([tonumber(event.unknown)])`, `one(event.dynamic)`, `index([event.unknown], "a")`, `index(event.dynamic, 1)`,
		`matchkeys([event.unknown], ["a"], ["a"])`, `transpose({ a = [event.unknown] })`, `unixtime(event.unknown)`, `captured("w", event.unknown)`, `try(event.dynamic.a, 1)`,
	} {
		if _, diags := eval(t, src); diags.HasErrors() {
			t.Errorf("%s: %v", src, diags)
		}
	}
	for src, want := range map[string]cty.Value{
		`alltrue([tobool(event.unknown), false])`: cty.False,
		`anytrue([tobool(event.unknown), true])`:  cty.True,
		`length([event.unknown])`:                 cty.NumberIntVal(1),
		`coalesce("a", event.unknown)`:            cty.StringVal("a"),
	} {
		if value, diags := eval(t, src); diags.HasErrors() || !value.RawEquals(want) {
			t.Errorf("%s is %#v, %v; want %#v", src, value, diags, want)
		}
	}
}

func TestFunctionsAreDescribed(t *testing.T) {
	t.Parallel()
	for name, f := range functions(newReading()) {
		if d := f.Description(); len(d) < 20 || !strings.HasSuffix(d, ".") {
			t.Errorf("%s: description %q", name, d)
		}
	}
	for name := range unsupported {
		if _, ok := functions(newReading())[name]; ok {
			t.Errorf("%s is said to be unsupported", name)
		}
	}
}

// TestReadOnce: what env() and file() gave at load is what they give later.
func TestReadOnce(t *testing.T) {
	t.Parallel()
	value := "first"
	cfg, diags := Parse(map[string][]byte{"a.hcl": []byte(`
		database { url = env("DATABASE_URL") }
		webhook "w" {
			topics  = ["*"]
			url     = "https://example.com/"
			headers = { A = env("CHANGING"), B = env("ABSENT", "default"), C = try(env("ABSENT"), "tried"), D = upper(env("CHANGING")) }
		}`)}, WithEnv(func(name string) (string, bool) {
		if name == "DATABASE_URL" {
			return environment[name], true
		}
		return value, name == "CHANGING"
	}))
	requireNone(t, cfg, diags)
	value = "second"
	var got []string
	for _, header := range cfg.Webhooks[0].Headers {
		v, diags := header.Value.Value(&hcl.EvalContext{Functions: cfg.Functions})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if header.Name != "C" && !v.HasMark(secretMark{}) {
			t.Errorf("%s is not marked", header.Name)
		}
		v, _ = v.Unmark()
		got = append(got, v.AsString())
	}
	equal(t, "headers", got, []string{"first", "default", "tried", "FIRST"})
	if _, err := cfg.Functions["env"].Call([]cty.Value{cty.StringVal("NEVER_NAMED")}); err == nil {
		t.Error("env() reads after the load")
	}
}

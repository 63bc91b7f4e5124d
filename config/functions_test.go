package config

import (
	"maps"
	"slices"
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

// TestFunctions compares each function with a value that Terraform's documentation
// or another implementation gives, as an expression that must be true.
func TestFunctions(t *testing.T) {
	t.Parallel()
	examples := map[string][]string{
		"abs":             {`abs(-2) == 2`},
		"alltrue":         {`alltrue([])`, `alltrue([true, "true"])`, `!alltrue([true, false])`, `!alltrue([null])`},
		"anytrue":         {`!anytrue([])`, `anytrue([false, true])`, `!anytrue([null])`},
		"base64decode":    {`base64decode("QWRh") == "Ada"`, `!can(base64decode("%"))`, `!can(base64decode("//79"))`},
		"base64encode":    {`base64encode("Ada") == "QWRh"`},
		"base64sha256":    {`base64sha256("") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="`},
		"base64sha512":    {`length(base64sha512("")) == 88`},
		"can":             {`!can(tonumber("x"))`, `can(1)`},
		"ceil":            {`ceil(1.2) == 2`},
		"chomp":           {`chomp("a\n") == "a"`},
		"chunklist":       {`length(chunklist(["a", "b", "c"], 2)) == 2`},
		"coalesce":        {`coalesce(null, "", "a", "b") == "a"`, `coalesce(0, 1) == 0`, `coalesce("", null) == null`},
		"coalescelist":    {`coalescelist([], ["a"]) == ["a"]`},
		"compact":         {`length(compact(["a", "", null, "b"])) == 2`},
		"concat":          {`concat(["a"], ["b"]) == ["a", "b"]`},
		"contains":        {`contains(["a"], "a")`},
		"csvdecode":       {`csvdecode("a,b\n1,2")[0].b == "2"`},
		"distinct":        {`length(distinct(["a", "a"])) == 1`},
		"element":         {`element(["a", "b"], 3) == "b"`},
		"endswith":        {`endswith("walpost", "post")`, `!endswith("walpost", "wal")`},
		"flatten":         {`flatten([["a"], [["b"]]]) == ["a", "b"]`},
		"floor":           {`floor(1.8) == 1`},
		"format":          {`format("%s-%03d", "a", 7) == "a-007"`},
		"formatdate":      {`formatdate("DD.MM.YYYY", event.created_at) == "04.03.2026"`},
		"formatlist":      {`formatlist("x%s", ["a", "b"])[1] == "xb"`},
		"indent":          {`indent(2, "a\nb") == "a\n  b"`},
		"join":            {`join(",", ["a", "b"]) == "a,b"`},
		"jsondecode":      {`jsondecode("{\"a\":[1]}").a[0] == 1`},
		"jsonencode":      {`jsonencode({ b = 1, a = [true, null] }) == "{\"a\":[true,null],\"b\":1}"`},
		"keys":            {`keys({ b = 1, a = 2 }) == ["a", "b"]`},
		"length":          {`length("año") == 3`, `length([1, 2]) == 2`, `length({ a = 1 }) == 1`, `length(tomap({ a = 1 })) == 1`, `!can(length(7))`},
		"log":             {`log(8, 2) == 3`},
		"lookup":          {`lookup({ a = "x" }, "b", "none") == "none"`},
		"lower":           {`lower("ADA") == "ada"`},
		"max":             {`max(1, 3, 2) == 3`},
		"md5":             {`md5("ada@example.com") == "3e3417d7ef77d5932a6734b916515ed5"`, `md5("") == "d41d8cd98f00b204e9800998ecf8427e"`},
		"merge":           {`merge({ a = 1 }, { a = 2, b = 3 }) == { a = 2, b = 3 }`},
		"min":             {`min(1, 3) == 1`},
		"parseint":        {`parseint("ff", 16) == 255`},
		"pow":             {`pow(2, 3) == 8`},
		"range":           {`length(range(3)) == 3`},
		"regex":           {`regex("[a-z]+", "12ab") == "ab"`},
		"regexall":        {`length(regexall("[a-z]", "a1b")) == 2`},
		"replace":         {`replace("a.b.c", ".", "-") == "a-b-c"`, `replace("a1b22", "/[0-9]+/", "#") == "a#b#"`, `replace("ab", "/(a)(b)/", "$2$1") == "ba"`, `replace("a/b", "/", "-") == "a-b"`, `!can(replace("a", "/(/", ""))`},
		"reverse":         {`reverse(["a", "b"]) == ["b", "a"]`},
		"setintersection": {`length(setintersection(["a", "b"], ["b"])) == 1`},
		"setproduct":      {`length(setproduct(["a", "b"], ["c", "d"])) == 4`},
		"setsubtract":     {`length(setsubtract(["a", "b"], ["b"])) == 1`},
		"setunion":        {`length(setunion(["a", "b"], ["b"])) == 2`},
		"sha1":            {`sha1("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709"`},
		"sha256":          {`sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
		"sha512":          {`substr(sha512("abc"), 0, 16) == "ddaf35a193617aba"`},
		"signum":          {`signum(-7) == -1`},
		"slice":           {`slice(["a", "b", "c"], 1, 2) == ["b"]`},
		"sort":            {`sort(["b", "a"])[0] == "a"`},
		"split":           {`split(",", "a,b")[1] == "b"`},
		"startswith":      {`startswith("walpost", "wal")`, `!startswith("walpost", "post")`},
		"strcontains":     {`strcontains("walpost", "lpo")`, `!strcontains("walpost", "x")`},
		"strrev":          {`strrev("abc") == "cba"`},
		"substr":          {`substr("walpost", 3, 4) == "post"`},
		"timeadd":         {`timeadd(event.created_at, "1h") == "2026-03-04T06:06:07Z"`},
		"title":           {`title("ada lovelace") == "Ada Lovelace"`},
		"tobool":          {`tobool("true")`},
		"tolist":          {`tolist(["a"])[0] == "a"`},
		"tomap":           {`tomap({ a = "b" })["a"] == "b"`},
		"tonumber":        {`tonumber("1.5") == 1.5`},
		"toset":           {`length(toset(["a", "a"])) == 1`},
		"tostring":        {`tostring(12345678901234567890) == "12345678901234567890"`},
		"trim":            {`trim("?a!", "?!") == "a"`},
		"trimprefix":      {`trimprefix("walpost", "wal") == "post"`},
		"trimspace":       {`trimspace(" a\n") == "a"`},
		"trimsuffix":      {`trimsuffix("walpost", "post") == "wal"`},
		"try":             {`try(tonumber("x"), "none") == "none"`},
		"upper":           {`upper("ada") == "ADA"`},
		"urlencode":       {`urlencode("a b&c/ü") == "a+b%26c%2F%C3%BC"`},
		"values":          {`values({ b = 1, a = 2 }) == [2, 1]`},
		"zipmap":          {`zipmap(["a"], [1]) == { a = 1 }`},
	}
	for name, all := range examples {
		for _, src := range all {
			value, diags := eval(t, src)
			if diags.HasErrors() || !value.RawEquals(cty.True) {
				t.Errorf("%s: %s is %#v, %v", name, src, value, diags)
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(examples)), slices.Sorted(maps.Keys(library)); !slices.Equal(got, want) {
		t.Errorf("examples for\n%v\nfunctions\n%v", got, want)
	}
}

func TestFunctionsOfUnknown(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		`length(event.unknown)`, `length(event.dynamic)`, `length([event.unknown])`, `coalesce(event.unknown, "a")`, `coalesce("", event.dynamic)`,
		`alltrue([tobool(event.unknown)])`, `anytrue(event.list)`, `replace(event.unknown, "a", "b")`, `md5(event.dynamic)`, `startswith(event.unknown, "a")`,
		`base64decode(event.unknown)`, `lookup(event.dynamic, "a", 1)`, `merge(event.dynamic, { a = 1 })`, `try(event.dynamic.a, 1)`,
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
		if _, ok := library[name]; ok {
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

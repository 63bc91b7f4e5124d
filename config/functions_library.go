package config

import (
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// entry is a function of the library. Its examples are pairs of expressions that are
// equal, which a test makes sure of.
type entry struct {
	name     string
	function function.Function
	doc      string
	examples [][2]string
}

// chapter is a group of functions.
type chapter struct {
	title   string
	entries []entry
}

// library is every function that depends on its arguments alone, by Terraform's name
// and with Terraform's behaviour. None is random and none asks the time: a delivery's
// request is the same at every attempt.
var library = []chapter{
	{"Strings", []entry{
		{"basename", baseName, "Returns the last part of a path.", [][2]string{{`basename("a/b.txt")`, `"b.txt"`}}},
		{"chomp", stdlib.ChompFunc, "Returns the string without newlines at its end.", [][2]string{{`chomp("a\n")`, `"a"`}}},
		{"dirname", dirName, "Returns a path without its last part.", [][2]string{{`dirname("a/b.txt")`, `"a"`}}},
		{"endswith", endsWith, "Returns true if the string ends with the suffix.", [][2]string{{`endswith("walpost", "post")`, `true`}}},
		{"format", stdlib.FormatFunc, "Puts values into a text: `%s` a string, `%d` a whole number, `%q` a string in quotes, `%03d` and `%.2f` with a width or precision.", [][2]string{{`format("%s-%03d", "a", 7)`, `"a-007"`}}},
		{"formatlist", stdlib.FormatListFunc, "Is `format` for each element of lists.", [][2]string{{`formatlist("+%s", ["a", "b"])`, `tolist(["+a", "+b"])`}}},
		{"indent", stdlib.IndentFunc, "Puts that many spaces before each line but the first.", [][2]string{{`indent(2, "a\nb")`, `"a\n  b"`}}},
		{"join", stdlib.JoinFunc, "Returns the strings of lists with a separator between.", [][2]string{{`join(", ", ["a", "b"])`, `"a, b"`}}},
		{"lower", stdlib.LowerFunc, "Returns the string in lower case.", [][2]string{{`lower("Ada@Example.com")`, `"ada@example.com"`}}},
		{
			"regex", stdlib.RegexFunc, "Returns the first match of a regular expression (RE2): a string, or the groups as a list or, if they are named, as an object. It is an error if there is none.",
			[][2]string{{`regex("[a-z]+", "12ab")`, `"ab"`}, {`regex("(?P<user>.*)@(?P<host>.*)", "ada@example.com").host`, `"example.com"`}},
		},
		{"regexall", stdlib.RegexAllFunc, "Returns all matches of a regular expression, as a list.", [][2]string{{`regexall("[0-9]", "a1b2")`, `tolist(["1", "2"])`}}},
		{
			"replace", replace, "Replaces each occurrence of a substring, or each match of a regular expression between slashes, with `$1` for its first group.",
			[][2]string{{`replace("a.b", ".", "-")`, `"a-b"`}, {`replace("a1b22", "/[0-9]+/", "#")`, `"a#b#"`}},
		},
		{"split", stdlib.SplitFunc, "Returns the parts of a string between separators.", [][2]string{{`split(",", "a,b")`, `tolist(["a", "b"])`}}},
		{"startswith", startsWith, "Returns true if the string begins with the prefix.", [][2]string{{`startswith("walpost", "wal")`, `true`}}},
		{"strcontains", strContains, "Returns true if the string contains the substring.", [][2]string{{`strcontains("walpost", "lpo")`, `true`}}},
		{"strrev", stdlib.ReverseFunc, "Returns the characters in reverse order.", [][2]string{{`strrev("abc")`, `"cba"`}}},
		{"substr", stdlib.SubstrFunc, "Returns so many characters from that offset; -1 is all that follow.", [][2]string{{`substr("walpost", 3, 4)`, `"post"`}}},
		{"title", stdlib.TitleFunc, "Returns the string with each word's first letter in upper case.", [][2]string{{`title("ada lovelace")`, `"Ada Lovelace"`}}},
		{"trim", stdlib.TrimFunc, "Returns the string without any of those characters at its ends.", [][2]string{{`trim("?a!", "?!")`, `"a"`}}},
		{"trimprefix", stdlib.TrimPrefixFunc, "Returns the string without the prefix, if it begins with it.", [][2]string{{`trimprefix("walpost", "wal")`, `"post"`}}},
		{"trimspace", stdlib.TrimSpaceFunc, "Returns the string without white space at its ends.", [][2]string{{`trimspace(" a\n")`, `"a"`}}},
		{"trimsuffix", stdlib.TrimSuffixFunc, "Returns the string without the suffix, if it ends with it.", [][2]string{{`trimsuffix("walpost", "post")`, `"wal"`}}},
		{"upper", stdlib.UpperFunc, "Returns the string in upper case.", [][2]string{{`upper("ada")`, `"ADA"`}}},
	}},
	{"Numbers", []entry{
		{"abs", stdlib.AbsoluteFunc, "Returns the number without its sign.", [][2]string{{`abs(-2)`, `2`}}},
		{"ceil", stdlib.CeilFunc, "Rounds up to a whole number.", [][2]string{{`ceil(1.2)`, `2`}}},
		{"floor", stdlib.FloorFunc, "Rounds down to a whole number.", [][2]string{{`floor(1.8)`, `1`}}},
		{"log", stdlib.LogFunc, "Returns the logarithm of a number to a base.", [][2]string{{`log(8, 2)`, `3`}}},
		{"max", stdlib.MaxFunc, "Returns the greatest of the numbers.", [][2]string{{`max(1, 3, 2)`, `3`}}},
		{"min", stdlib.MinFunc, "Returns the smallest of the numbers.", [][2]string{{`min(1, 3)`, `1`}}},
		{"parseint", stdlib.ParseIntFunc, "Reads a whole number to a base.", [][2]string{{`parseint("ff", 16)`, `255`}}},
		{"pow", stdlib.PowFunc, "Returns the number to that power.", [][2]string{{`pow(2, 3)`, `8`}}},
		{"signum", stdlib.SignumFunc, "Returns -1, 0 or 1 for a number below, equal to or above 0.", [][2]string{{`signum(-7)`, `-1`}}},
		{"sum", sum, "Adds up the numbers of a list; of an empty one that is 0.", [][2]string{{`sum([1, 2.5])`, `3.5`}}},
	}},
	{"Lists and objects", []entry{
		{"alltrue", allTrue, "Returns true if every element is true; of an empty list, too.", [][2]string{{`alltrue([true, false])`, `false`}}},
		{"anytrue", anyTrue, "Returns true if at least one element is true.", [][2]string{{`anytrue([true, false])`, `true`}}},
		{"chunklist", stdlib.ChunklistFunc, "Returns a list in pieces of that many elements.", [][2]string{{`chunklist(["a", "b", "c"], 2)[1][0]`, `"c"`}}},
		{"coalesce", coalesce, "Returns the first argument that is neither null nor an empty string; null if there is none.", [][2]string{{`coalesce(null, "", "a")`, `"a"`}}},
		{"coalescelist", stdlib.CoalesceListFunc, "Returns the first list that isn't empty.", [][2]string{{`coalescelist([], ["a"])`, `["a"]`}}},
		{"compact", stdlib.CompactFunc, "Returns a list of strings without those that are null or empty.", [][2]string{{`compact(["a", "", null])`, `tolist(["a"])`}}},
		{"concat", stdlib.ConcatFunc, "Returns one list of the elements of several.", [][2]string{{`concat(["a"], ["b"])`, `["a", "b"]`}}},
		{"contains", stdlib.ContainsFunc, "Returns true if the list has the value.", [][2]string{{`contains(["a", "b"], "a")`, `true`}}},
		{"distinct", stdlib.DistinctFunc, "Returns a list with each value once.", [][2]string{{`distinct(["a", "b", "a"])`, `tolist(["a", "b"])`}}},
		{"element", stdlib.ElementFunc, "Returns the element of that index, which begins anew behind the last.", [][2]string{{`element(["a", "b"], 3)`, `"b"`}}},
		{"flatten", stdlib.FlattenFunc, "Returns one list of the elements of lists within lists.", [][2]string{{`flatten([["a"], [["b"]]])`, `["a", "b"]`}}},
		{"index", indexOf, "Returns the index of the first element that equals the value. It is an error if there is none.", [][2]string{{`index(["a", "b"], "b")`, `1`}}},
		{"keys", stdlib.KeysFunc, "Returns the names of an object's attributes, sorted.", [][2]string{{`keys({ b = 1, a = 2 })`, `["a", "b"]`}}},
		{"length", length, "Returns the number of elements of a list, map or object, or of characters of a string.", [][2]string{{`length("año")`, `3`}, {`length([1, 2])`, `2`}}},
		{"lookup", stdlib.LookupFunc, "Returns an object's attribute of that name, or the default.", [][2]string{{`lookup({ a = "x" }, "b", "none")`, `"none"`}}},
		{"matchkeys", matchKeys, "Returns the values whose keys, at the same index, are in the searchset.", [][2]string{{`matchkeys(["x", "y"], ["a", "b"], ["b"])`, `tolist(["y"])`}}},
		{"merge", stdlib.MergeFunc, "Returns one object of the attributes of several; later ones win.", [][2]string{{`merge({ a = 1 }, { a = 2, b = 3 })`, `{ a = 2, b = 3 }`}}},
		{"one", one, "Returns the only element of a list; null if it is empty. More than one is an error.", [][2]string{{`one(["a"])`, `"a"`}, {`one([])`, `null`}}},
		{"range", stdlib.RangeFunc, "Returns the numbers from a start (0) to below a limit, in steps (1).", [][2]string{{`range(3)`, `tolist([0, 1, 2])`}, {`range(1, 6, 2)`, `tolist([1, 3, 5])`}}},
		{"reverse", stdlib.ReverseListFunc, "Returns the elements in reverse order.", [][2]string{{`reverse(["a", "b"])`, `["b", "a"]`}}},
		{"setintersection", stdlib.SetIntersectionFunc, "Returns the values that all sets have.", [][2]string{{`setintersection(["a", "b"], ["b"])`, `toset(["b"])`}}},
		{"setproduct", stdlib.SetProductFunc, "Returns each combination of one element of each list.", [][2]string{{`length(setproduct(["a", "b"], ["c", "d"]))`, `4`}}},
		{"setsubtract", stdlib.SetSubtractFunc, "Returns the values of the first set that the second doesn't have.", [][2]string{{`setsubtract(["a", "b"], ["b"])`, `toset(["a"])`}}},
		{"setunion", stdlib.SetUnionFunc, "Returns the values that any of the sets has.", [][2]string{{`setunion(["a"], ["b"])`, `toset(["a", "b"])`}}},
		{"slice", stdlib.SliceFunc, "Returns the elements from an index to below another.", [][2]string{{`slice(["a", "b", "c"], 1, 2)`, `["b"]`}}},
		{"sort", stdlib.SortFunc, "Returns strings in the order of their characters.", [][2]string{{`sort(["b", "a"])`, `tolist(["a", "b"])`}}},
		{"transpose", transpose, "Swaps the keys and values of a map of lists of strings.", [][2]string{{`transpose({ a = ["x", "y"], b = ["x"] })["x"]`, `tolist(["a", "b"])`}}},
		{"values", stdlib.ValuesFunc, "Returns an object's attributes in the order of their names.", [][2]string{{`values({ b = 1, a = 2 })`, `[2, 1]`}}},
		{"zipmap", stdlib.ZipmapFunc, "Makes an object of a list of names and a list of values.", [][2]string{{`zipmap(["a"], [1])`, `{ a = 1 }`}}},
	}},
	{"Time", []entry{
		{"formatdate", stdlib.FormatDateFunc, "Writes a time in another form: YYYY, MM, DD, hh, mm, ss, MMM, EEE, Z; other text in single quotes.", [][2]string{{`formatdate("DD.MM.YYYY", "2026-03-04T05:06:07Z")`, `"04.03.2026"`}}},
		{"timeadd", stdlib.TimeAddFunc, "Returns the time so much later, or earlier.", [][2]string{{`timeadd("2026-03-04T05:06:07Z", "-1h")`, `"2026-03-04T04:06:07Z"`}}},
		{"timecmp", timeCompare, "Returns -1, 0 or 1 if the first time is before, equal to or after the second.", [][2]string{{`timecmp("2026-03-04T05:06:07Z", "2026-03-04T06:06:07+01:00")`, `0`}}},
		{"unixtime", unixTime, "Returns a time's whole seconds since 1970.", [][2]string{{`unixtime("2026-03-04T05:06:07Z")`, `1772600767`}}},
	}},
	{"Encodings and digests", []entry{
		{"base64decode", base64Decode, "Returns the text of which the string is the Base64 form.", [][2]string{{`base64decode("QWRh")`, `"Ada"`}}},
		{"base64encode", base64Encode, "Returns the Base64 form of the string's UTF-8 bytes.", [][2]string{{`base64encode("Ada")`, `"QWRh"`}}},
		{"base64sha256", digest(sha256Sum, inBase64), "Returns the SHA-256 digest in Base64.", [][2]string{{`base64sha256("")`, `"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="`}}},
		{"base64sha512", digest(sha512Sum, inBase64), "Returns the SHA-512 digest in Base64.", [][2]string{{`length(base64sha512(""))`, `88`}}},
		{"csvdecode", stdlib.CSVDecodeFunc, "Reads CSV whose first line has the names, as a list of objects.", [][2]string{{`csvdecode("a,b\n1,2")[0].b`, `"2"`}}},
		{"hmac_sha256", hmacSHA256, "Returns the HMAC-SHA-256 of a text with a key, in lower-case hexadecimal. The key may be secret; the result is, too.", [][2]string{{`hmac_sha256("Jefe", "what do ya want for nothing?")`, `"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"`}}},
		{"jsondecode", stdlib.JSONDecodeFunc, "Returns the value of which the string is the JSON form.", [][2]string{{`jsondecode("{\"a\":[1]}").a[0]`, `1`}}},
		{"jsonencode", stdlib.JSONEncodeFunc, "Returns the JSON form of a value, as a string.", [][2]string{{`jsonencode({ b = 1, a = [true, null] })`, `"{\"a\":[true,null],\"b\":1}"`}}},
		{"md5", digest(md5Sum, inHex), "Returns the MD5 digest in lower-case hexadecimal.", [][2]string{{`md5("ada@example.com")`, `"3e3417d7ef77d5932a6734b916515ed5"`}}},
		{"sha1", digest(sha1Sum, inHex), "Returns the SHA-1 digest in lower-case hexadecimal.", [][2]string{{`sha1("")`, `"da39a3ee5e6b4b0d3255bfef95601890afd80709"`}}},
		{"sha256", digest(sha256Sum, inHex), "Returns the SHA-256 digest in lower-case hexadecimal.", [][2]string{{`sha256("abc")`, `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`}}},
		{"sha512", digest(sha512Sum, inHex), "Returns the SHA-512 digest in lower-case hexadecimal.", [][2]string{{`substr(sha512("abc"), 0, 16)`, `"ddaf35a193617aba"`}}},
		{"urldecode", urlDecode, "Returns the text of which the string is the URL-encoded form.", [][2]string{{`urldecode("a+b%26c")`, `"a b&c"`}}},
		{"urlencode", urlEncode, "Returns the string with everything escaped that has a meaning in a URL; a space becomes +.", [][2]string{{`urlencode("a b&c/ü")`, `"a+b%26c%2F%C3%BC"`}}},
		{"uuidv5", uuidV5, "Returns the UUID of a name in a namespace, always the same: \"dns\", \"url\", \"oid\", \"x500\" or a UUID.", [][2]string{{`uuidv5("dns", "www.example.com")`, `"2ed6657d-e927-568b-95e1-2665a8aea6a2"`}}},
	}},
	{"Types, and what may fail", []entry{
		{"can", tryfunc.CanFunc, "Returns true if the expression can be evaluated without an error.", [][2]string{{`can(tonumber("x"))`, `false`}}},
		{"tobool", stdlib.MakeToFunc(cty.Bool), "Makes a bool of \"true\" or \"false\".", [][2]string{{`tobool("true")`, `true`}}},
		{"tolist", stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "Makes a list, whose elements are of one type.", [][2]string{{`tolist(["a", 1])[1]`, `"1"`}}},
		{"tomap", stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "Makes a map, whose elements are of one type, of an object.", [][2]string{{`tomap({ a = "b" })["a"]`, `"b"`}}},
		{"tonumber", stdlib.MakeToFunc(cty.Number), "Makes a number of a string.", [][2]string{{`tonumber("1.5")`, `1.5`}}},
		{"toset", stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "Makes a set, which has each value once.", [][2]string{{`length(toset(["a", "a"]))`, `1`}}},
		{"tostring", stdlib.MakeToFunc(cty.String), "Makes a string of a number or bool.", [][2]string{{`tostring(12345678901234567890)`, `"12345678901234567890"`}}},
		{"try", tryfunc.TryFunc, "Returns the first of the expressions that can be evaluated without an error. A path that isn't there is an error within it.", [][2]string{{`try(tonumber("x"), "none")`, `"none"`}}},
	}},
}

// special are the functions whose result depends on more than their arguments.
var special = chapter{"Secrets and captures", []entry{
	{name: captured, doc: "Returns what the `capture` block of that webhook kept under the key, or null. Only webhooks' expressions can ask, but `when`.", examples: [][2]string{{`captured("tickets", event.aggregate_id)`, ""}}},
	{name: "env", doc: "Returns the environment variable of that name, as a secret. It is read once, when the configuration is loaded. If it isn't set, the default is returned; without a default that is an error.", examples: [][2]string{{`env("CRM_TOKEN")`, ""}, {`env("CRM_TOKEN_OLD", "")`, ""}}},
	{name: "file", doc: "Returns the text of a file, as a secret. The path is relative to the configuration's folder. It is read once, when the configuration is loaded.", examples: [][2]string{{`trimspace(file("crm.secret"))`, ""}}},
}}

package config

import (
	"crypto/md5"  // #nosec G501 -- vendors ask for it, e.g. Mailchimp's subscriber hash
	"crypto/sha1" // #nosec G505 -- likewise
	"crypto/sha256"
	"crypto/sha512"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// library is every function that depends on its arguments alone, by Terraform's
// name and with Terraform's behaviour. Each has a Description. None is random and
// none asks the time: a delivery's request is the same at every attempt.
var library = map[string]function.Function{
	// Numbers.
	"abs":      stdlib.AbsoluteFunc,
	"ceil":     stdlib.CeilFunc,
	"floor":    stdlib.FloorFunc,
	"log":      stdlib.LogFunc,
	"max":      stdlib.MaxFunc,
	"min":      stdlib.MinFunc,
	"parseint": stdlib.ParseIntFunc,
	"pow":      stdlib.PowFunc,
	"signum":   stdlib.SignumFunc,

	// Strings.
	"chomp":       stdlib.ChompFunc,
	"endswith":    endsWith,
	"format":      stdlib.FormatFunc,
	"formatlist":  stdlib.FormatListFunc,
	"indent":      stdlib.IndentFunc,
	"join":        stdlib.JoinFunc,
	"lower":       stdlib.LowerFunc,
	"regex":       stdlib.RegexFunc,
	"regexall":    stdlib.RegexAllFunc,
	"replace":     replace,
	"split":       stdlib.SplitFunc,
	"startswith":  startsWith,
	"strcontains": strContains,
	"strrev":      stdlib.ReverseFunc,
	"substr":      stdlib.SubstrFunc,
	"title":       stdlib.TitleFunc,
	"trim":        stdlib.TrimFunc,
	"trimprefix":  stdlib.TrimPrefixFunc,
	"trimspace":   stdlib.TrimSpaceFunc,
	"trimsuffix":  stdlib.TrimSuffixFunc,
	"upper":       stdlib.UpperFunc,

	// Lists, sets, maps and objects.
	"alltrue":         allTrue,
	"anytrue":         anyTrue,
	"chunklist":       stdlib.ChunklistFunc,
	"coalesce":        coalesce,
	"coalescelist":    stdlib.CoalesceListFunc,
	"compact":         stdlib.CompactFunc,
	"concat":          stdlib.ConcatFunc,
	"contains":        stdlib.ContainsFunc,
	"distinct":        stdlib.DistinctFunc,
	"element":         stdlib.ElementFunc,
	"flatten":         stdlib.FlattenFunc,
	"keys":            stdlib.KeysFunc,
	"length":          length,
	"lookup":          stdlib.LookupFunc,
	"merge":           stdlib.MergeFunc,
	"range":           stdlib.RangeFunc,
	"reverse":         stdlib.ReverseListFunc,
	"setintersection": stdlib.SetIntersectionFunc,
	"setproduct":      stdlib.SetProductFunc,
	"setsubtract":     stdlib.SetSubtractFunc,
	"setunion":        stdlib.SetUnionFunc,
	"slice":           stdlib.SliceFunc,
	"sort":            stdlib.SortFunc,
	"values":          stdlib.ValuesFunc,
	"zipmap":          stdlib.ZipmapFunc,

	// Time, of an RFC 3339 string such as event.created_at.
	"formatdate": stdlib.FormatDateFunc,
	"timeadd":    stdlib.TimeAddFunc,

	// Encodings and digests.
	"base64decode": base64Decode,
	"base64encode": base64Encode,
	"base64sha256": digest("base64sha256", "SHA-256", sha256Sum, inBase64),
	"base64sha512": digest("base64sha512", "SHA-512", sha512Sum, inBase64),
	"csvdecode":    stdlib.CSVDecodeFunc,
	"jsondecode":   stdlib.JSONDecodeFunc,
	"jsonencode":   stdlib.JSONEncodeFunc,
	"md5":          digest("md5", "MD5", md5Sum, inHex),
	"sha1":         digest("sha1", "SHA-1", sha1Sum, inHex),
	"sha256":       digest("sha256", "SHA-256", sha256Sum, inHex),
	"sha512":       digest("sha512", "SHA-512", sha512Sum, inHex),
	"urlencode":    urlEncode,

	// Types, and what may fail.
	"can":      described(tryfunc.CanFunc, "Returns true if the expression can be evaluated without an error, else false."),
	"tobool":   stdlib.MakeToFunc(cty.Bool),
	"tolist":   stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
	"tomap":    stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"tonumber": stdlib.MakeToFunc(cty.Number),
	"toset":    stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
	"tostring": stdlib.MakeToFunc(cty.String),
	"try":      described(tryfunc.TryFunc, "Returns the first of the given expressions that can be evaluated without an error."),
}

// unsupported says what to do instead of a function that there is on purpose not.
var unsupported = map[string]string{
	"timestamp":     "There is no current time, as a request must be the same at every attempt: use event.created_at or event.committed_at.",
	"plantimestamp": "There is no current time, as a request must be the same at every attempt: use event.created_at or event.committed_at.",
	"now":           "There is no current time, as a request must be the same at every attempt: use event.created_at or event.committed_at.",
	"uuid":          "There is nothing random, as a request must be the same at every attempt: use event.id.",
	"bcrypt":        "There is nothing random, as a request must be the same at every attempt: use sha256().",
	"len":           "Use length().",
	"strlen":        "Use length().",
	"tolower":       "Use lower().",
	"toupper":       "Use upper().",
	"getenv":        "Use env().",
	"concatenate":   "Use a template, such as \"${event.aggregate_type}-${event.aggregate_id}\".",
}

// functions is the library with env() and file(), which answer from r.
func functions(r *reading) map[string]function.Function {
	all := make(map[string]function.Function, len(library)+2)
	for name, f := range library {
		all[name] = f
	}
	all[captured] = capturedFunction
	all["env"] = r.envFunction()
	all["file"] = r.fileFunction()
	return all
}

func described(f function.Function, description string) function.Function {
	params := make([]string, len(f.Params()))
	if f.VarParam() != nil {
		params = append(params, "")
	}
	return f.WithNewDescriptions(description, params)
}

func md5Sum(b []byte) []byte    { s := md5.Sum(b); return s[:] }  // #nosec G401 -- see the import
func sha1Sum(b []byte) []byte   { s := sha1.Sum(b); return s[:] } // #nosec G401 -- see the import
func sha256Sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
func sha512Sum(b []byte) []byte { s := sha512.Sum512(b); return s[:] }

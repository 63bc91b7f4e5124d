package config

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty/function"
)

// FunctionDoc describes a function, from the table that the loader reads.
type FunctionDoc struct {
	Name        string
	Signature   string // such as "replace(string, substring, replacement)"
	Category    string // such as "Strings"
	Description string // sentences
	Examples    []FunctionExample
}

// FunctionExample is a call and what it gives, both as HCL. Result is empty where it
// depends on more than the call.
type FunctionExample struct{ Call, Result string }

// FunctionDocs describes every function that there is, by category.
func FunctionDocs() []FunctionDoc {
	all := functions(newReading())
	var docs []FunctionDoc
	for _, c := range append(library[:len(library):len(library)], special) {
		for _, e := range c.entries {
			doc := FunctionDoc{Name: e.name, Signature: signature(e.name, all[e.name]), Category: c.title, Description: e.doc}
			for _, example := range e.examples {
				doc.Examples = append(doc.Examples, FunctionExample{Call: example[0], Result: example[1]})
			}
			docs = append(docs, doc)
		}
	}
	return docs
}

// signature is a function's name and its parameters; "…" is any number of the last.
func signature(name string, f function.Function) string {
	var params []string
	for _, p := range f.Params() {
		params = append(params, p.Name)
	}
	if f.VarParam() != nil {
		params = append(params, f.VarParam().Name+"…")
	}
	return fmt.Sprintf("%s(%s)", name, strings.Join(params, ", "))
}

const (
	noClock  = "There is no current time, as a request must be the same at every attempt: use event.created_at or event.committed_at."
	noRandom = "There is nothing random, as a request must be the same at every attempt: use event.id"
	noFiles  = "Files are read when the configuration is loaded, as secrets: use file()."
)

// unsupported says what to do instead of a function that there is on purpose not.
var unsupported = map[string]string{
	"timestamp":        noClock,
	"plantimestamp":    noClock,
	"now":              noClock,
	"uuid":             noRandom + " or uuidv5().",
	"bcrypt":           noRandom + " or sha256().",
	"fileexists":       noFiles,
	"filebase64":       noFiles,
	"templatefile":     noFiles,
	"templatestring":   "Write a template, such as \"${event.aggregate_type}-${event.aggregate_id}\".",
	"abspath":          noFiles,
	"pathexpand":       noFiles,
	"sensitive":        "What env() and file() give is secret, and so is all that is made of it.",
	"nonsensitive":     "What env() and file() give stays secret.",
	"rsadecrypt":       "Keys are used by sign and auth alone.",
	"base64gzip":       "Bodies are sent as they are.",
	"textencodebase64": "All text is UTF-8: use base64encode().",
	"textdecodebase64": "All text is UTF-8: use base64decode().",
	"yamldecode":       "Payloads are JSON: use jsondecode().",
	"yamlencode":       "Bodies are JSON: use jsonencode().",
	"list":             "Write the list: [a, b].",
	"map":              "Write the object: { a = b }.",
	"len":              "Use length().",
	"strlen":           "Use length().",
	"tolower":          "Use lower().",
	"toupper":          "Use upper().",
	"getenv":           "Use env().",
	"hmac":             "Use hmac_sha256().",
	"unix":             "Use unixtime().",
	"concatenate":      "Use a template, such as \"${event.aggregate_type}-${event.aggregate_id}\".",
}

// functions is the library with env() and file(), which answer from r.
func functions(r *reading) map[string]function.Function {
	all := map[string]function.Function{
		captured: capturedFunction,
		"env":    r.envFunction(),
		"file":   r.fileFunction(),
	}
	for _, e := range special.entries {
		all[e.name] = described(all[e.name], e.doc)
	}
	for _, c := range library {
		for _, e := range c.entries {
			all[e.name] = described(e.function, e.doc)
		}
	}
	return all
}

func described(f function.Function, description string) function.Function {
	params := make([]string, len(f.Params()))
	if f.VarParam() != nil {
		params = append(params, "")
	}
	return f.WithNewDescriptions(description, params)
}

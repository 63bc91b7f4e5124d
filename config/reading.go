package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// secretMark marks a value that env() or file() gave, and all that is made of it.
type secretMark struct{}

// reading is what env() and file() read: each name once, at load. The functions
// answer from it later, so that an expression gives the same for every event.
type reading struct {
	lookup func(string) (string, bool)
	folder string

	env, files map[string]answer
}

// answer is what reading one name gave.
type answer struct {
	text    string
	problem string // why there is no text; "" if there is
	// reported says that the problem is a diagnostic already: the function then
	// gives an unknown value, so that it isn't reported again.
	reported bool
}

func newReading() *reading {
	return &reading{lookup: os.LookupEnv, folder: ".", env: map[string]answer{}, files: map[string]answer{}}
}

// readEnv reads an environment variable.
func (r *reading) readEnv(name string) answer {
	if a, ok := r.env[name]; ok {
		return a
	}
	text, ok := r.lookup(name)
	a := answer{text: text}
	switch {
	case !ok:
		a = answer{problem: "is not set"}
	case !utf8.ValidString(text):
		a = answer{problem: "holds no UTF-8 text"}
	}
	r.env[name] = a
	return a
}

// readFile reads a file, whole and as it is.
func (r *reading) readFile(name string) answer {
	if a, ok := r.files[name]; ok {
		return a
	}
	a := r.readFileNow(name)
	r.files[name] = a
	return a
}

func (r *reading) readFileNow(name string) answer {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.folder, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return answer{problem: fmt.Sprintf("can't read %s: %v", path, reason(err))}
	case !info.Mode().IsRegular():
		return answer{problem: fmt.Sprintf("%s is not a file", path)}
	case info.Size() > maxSource:
		return answer{problem: fmt.Sprintf("%s is larger than 1 MiB", path)}
	}
	content, err := os.ReadFile(path)
	switch {
	case err != nil:
		return answer{problem: fmt.Sprintf("can't read %s: %v", path, reason(err))}
	case !utf8.Valid(content):
		return answer{problem: fmt.Sprintf("%s is not UTF-8 text", path)}
	}
	return answer{text: string(content)}
}

// scrub replaces what was read, should a message quote it. Messages are written
// so that they don't; this is the second lock on the door.
func (r *reading) scrub(message string) string {
	for _, answers := range []map[string]answer{r.env, r.files} {
		for _, a := range answers {
			// A text of a few letters is in many a word, and is no secret.
			if len(a.text) >= 6 {
				message = strings.ReplaceAll(message, a.text, hidden)
			}
		}
	}
	return message
}

// envFunction is env(name) and env(name, default).
func (r *reading) envFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{
			Name: "default", Type: cty.String, AllowUnknown: true,
		},
		Type: func(args []cty.Value) (cty.Type, error) {
			if len(args) > 2 {
				return cty.NilType, errors.New("it takes a name and at most one default")
			}
			return cty.String, nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			a, read := r.env[args[0].AsString()]
			if len(args) == 2 && (!read || a.problem != "") {
				return args[1].Mark(secretMark{}), nil
			}
			return a.value(read)
		},
	})
}

// fileFunction is file(path).
func (r *reading) fileFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			a, read := r.files[args[0].AsString()]
			return a.value(read)
		},
	})
}

func (a answer) value(read bool) (cty.Value, error) {
	switch {
	case !read:
		return cty.NilVal, errors.New("it was not read when the configuration was loaded")
	case a.problem == "":
		return cty.StringVal(a.text).Mark(secretMark{}), nil
	case a.reported:
		return cty.UnknownVal(cty.String).Mark(secretMark{}), nil
	default:
		return cty.NilVal, errors.New(a.problem)
	}
}

// Package vendormock is a vendor's API for tests. It enforces what the vendor's operations.json says (method, URL, query,
// content type, body schema) and the vendor's authentication, keeps the state that matters (tickets, members, tokens),
// and fails as it is told to.
//
// A request that the vendor would refuse fails the test: see [Server].
package vendormock

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Spec is what a vendor's operations.json and its schemas say.
type Spec struct {
	Vendor     string
	Operations []*Operation

	dir     string
	schemas *jsonschema.Compiler
}

// Load reads a folder with an operations.json and the schemas that it refers to.
func Load(dir string) (*Spec, error) {
	text, err := os.ReadFile(filepath.Join(dir, "operations.json"))
	if err != nil {
		return nil, fmt.Errorf("read the operations: %w", err)
	}
	var file operationsFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read %s/operations.json: %w", dir, err)
	}
	s := &Spec{Vendor: file.Vendor, dir: dir, schemas: jsonschema.NewCompiler()}
	s.schemas.AssertFormat()
	s.schemas.UseRegexpEngine(compilePattern)
	for _, o := range append(file.Operations, file.Targets...) {
		operation, err := s.operation(o, file.Base)
		if err != nil {
			return nil, fmt.Errorf("operation %s of %s: %w", o.ID, dir, err)
		}
		s.Operations = append(s.Operations, operation)
	}
	return s, nil
}

// operationsFile is operations.json. The inbound services call their operations targets.
type operationsFile struct {
	Vendor              string
	Base                string
	Operations, Targets []operationEntry
}

type operationEntry struct {
	ID, Method, URL, Path string
	Methods               []string
	ContentType           string            `json:"content_type"`
	BodySchema            string            `json:"body_schema"`
	Body                  json.RawMessage   // an object of form fields, or words
	Query                 map[string]string // optional parameters
	Success               []int
	Partial               []int
	Permanent             []int `json:"permanent_failure"`
	Retryable             []int
	Refresh               []int `json:"refresh_token_on"`
}

// Operation is one call that a vendor's API has.
type Operation struct {
	ID      string
	Methods []string
	// Statuses by what they mean.
	Success, Partial, Permanent, Retryable, Refresh []int

	url         urlPattern
	contentType string
	schema      *jsonschema.Schema // nil: the body is free
	form        map[string]string  // nil: not a form; values in braces are free
}

// Operation returns the operation of an id; an unknown one is a mistake of the test's author, and panics.
func (s *Spec) Operation(id string) *Operation {
	for _, o := range s.Operations {
		if o.ID == id {
			return o
		}
	}
	panic("vendormock: " + s.Vendor + " has no operation " + id)
}

// Bind sets the body schema of an operation for which operations.json names none.
func (s *Spec) Bind(id, ref string) error {
	schema, err := s.schema(ref)
	if err != nil {
		return err
	}
	s.Operation(id).schema = schema
	return nil
}

func (s *Spec) operation(e operationEntry, base string) (*Operation, error) {
	o := &Operation{
		ID: e.ID, Methods: e.Methods, contentType: e.ContentType,
		Success: e.Success, Partial: e.Partial, Permanent: e.Permanent, Retryable: e.Retryable, Refresh: e.Refresh,
	}
	if e.Method != "" {
		o.Methods = []string{e.Method}
	}
	address := e.URL
	if address == "" {
		address = base + e.Path
	}
	o.url = newURLPattern(address, e.Query)
	if strings.HasSuffix(o.contentType, "urlencoded") {
		if err := json.Unmarshal(e.Body, &o.form); err != nil {
			return nil, fmt.Errorf("read the form: %w", err)
		}
	}
	if e.BodySchema != "" {
		var err error
		if o.schema, err = s.schema(e.BodySchema); err != nil {
			return nil, err
		}
		if o.contentType == "" {
			o.contentType = "application/json"
		}
	}
	return o, nil
}

// schema compiles "file.json" or "file.json#/$defs/name".
func (s *Spec) schema(ref string) (*jsonschema.Schema, error) {
	file, fragment, _ := strings.Cut(ref, "#")
	path, err := filepath.Abs(filepath.Join(s.dir, file))
	if err != nil {
		return nil, err
	}
	schema, err := s.schemas.Compile(path + "#" + fragment)
	if err != nil {
		return nil, fmt.Errorf("compile schema %s: %w", ref, err)
	}
	return schema, nil
}

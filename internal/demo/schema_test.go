//go:build unix

package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// schema is what objects.schema.json uses of JSON Schema.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"` // string or list of strings
	Required   []string           `json:"required"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Enum       []any              `json:"enum"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	Defs       map[string]*schema `json:"$defs"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	text, err := os.ReadFile("testdata/objects.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// check gives everything that is wrong with a value, as "path: problem".
func (s *schema) check(defs map[string]*schema, at string, value any) []string {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		return defs[name].check(defs, at, value)
	}
	var found []string
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		found = append(found, fmt.Sprintf("%s: %v is none of %v", at, value, s.Enum))
	}
	if s.Type != nil && !s.allows(value) {
		found = append(found, fmt.Sprintf("%s: %T is not %v", at, value, s.Type))
	}
	switch v := value.(type) {
	case float64:
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
			found = append(found, fmt.Sprintf("%s: %v is out of bounds", at, v))
		}
	case []any:
		for i, item := range v {
			if s.Items != nil {
				found = append(found, s.Items.check(defs, fmt.Sprintf("%s[%d]", at, i), item)...)
			}
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				found = append(found, fmt.Sprintf("%s.%s: is missing", at, name))
			}
		}
		for name, property := range s.Properties {
			if inner, ok := v[name]; ok {
				found = append(found, property.check(defs, at+"."+name, inner)...)
			}
		}
	}
	return found
}

func (s *schema) allows(value any) bool {
	names, ok := s.Type.([]any)
	if !ok {
		names = []any{s.Type}
	}
	var is []any
	switch v := value.(type) {
	case nil:
		is = []any{"null"}
	case bool:
		is = []any{"boolean"}
	case string:
		is = []any{"string"}
	case float64:
		is = []any{"number"}
		if v == float64(int64(v)) {
			is = append(is, "integer")
		}
	case []any:
		is = []any{"array"}
	case map[string]any:
		is = []any{"object"}
	}
	return slices.ContainsFunc(is, func(name any) bool { return slices.Contains(names, name) })
}

func TestSchemaCheckFinds(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	bad := map[string]any{
		"id": "1", "topic": "contact.taged", "created_at": 1.5,
		"contact": map[string]any{"type": "admin", "tags": []any{map[string]any{"id": 1.0}}},
		"rating":  map[string]any{"rating": 6.0},
	}
	found := s.Defs["notification"].check(s.Defs, "", bad)
	slices.Sort(found)
	want := []string{".contact.id", ".contact.tags[0].name", ".contact.type", ".created_at", ".rating.rating", ".topic"}
	if len(found) != len(want) {
		t.Fatalf("found %q, want one each of %q", found, want)
	}
	for i, problem := range found {
		if path, _, _ := strings.Cut(problem, ": "); path != want[i] {
			t.Errorf("found %q, want one of %q", problem, want[i])
		}
	}
}

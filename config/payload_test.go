package config

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestObjectsJSON makes objects.json of the object schema and the topics; -update writes it.
func TestObjectsJSON(t *testing.T) {
	t.Parallel()
	s := schema{Objects: gistObjects(t), Topics: map[string]map[string]string{}}
	raw, err := os.ReadFile("testdata/gist-topics.json")
	must(t, err)
	var guide struct {
		Topics []struct{ ID, Fields string }
	}
	must(t, json.Unmarshal(raw, &guide))
	for _, topic := range guide.Topics {
		s.Topics[topic.ID] = topicKeys(s.Objects, topic.Fields)
	}
	encoded, err := json.MarshalIndent(s, "", " ")
	must(t, err)
	encoded = append(encoded, '\n')
	if *update {
		must(t, os.WriteFile("objects.json", encoded, 0o600))
	}
	written, err := os.ReadFile("objects.json")
	must(t, err)
	if string(written) != string(encoded) {
		t.Error("objects.json is stale: go test ./config -update")
	}
	for _, topic := range parseOne(t, string(Starter())).Topics {
		if s.Topics[topic.Name] == nil {
			t.Errorf("no keys of %s", topic.Name)
		}
	}
}

type jsonSchema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]jsonSchema
	Items      *jsonSchema
	Enum       []any
}

func gistObjects(t *testing.T) map[string]map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/gist-objects.schema.json")
	must(t, err)
	var file struct {
		Defs map[string]jsonSchema `json:"$defs"`
	}
	must(t, json.Unmarshal(raw, &file))
	delete(file.Defs, "notification") // the envelope
	objects := map[string]map[string]string{}
	for name, object := range file.Defs {
		objects[name] = map[string]string{}
		for field, of := range object.Properties {
			objects[name][field] = typeOf(of)
		}
	}
	return objects
}

func typeOf(s jsonSchema) string {
	types, _ := json.Marshal(s.Type)
	switch {
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, "#/$defs/")
	case strings.Contains(string(types), `"array"`) && s.Items != nil && s.Items.Ref != "":
		return strings.TrimPrefix(s.Items.Ref, "#/$defs/") + anElement
	case strings.Contains(string(types), `"array"`), strings.Contains(string(types), `"object"`):
		return anything
	default:
		return ""
	}
}

// keyForm is a top-level key of a topic, with what it has if it is an object.
var keyForm = regexp.MustCompile(`(\w+)(?:\{([^}]*)\})?(?:, |$)`)

// topicKeys reads "contact, tag{id, name}, tagged_at". An object that has no schema of
// its own gets one, from what is in its braces.
func topicKeys(objects map[string]map[string]string, fields string) map[string]string {
	// Keys that name an object otherwise, or anything.
	others := map[string]string{"previous_assignee": "assignee", "actor": anything}
	keys := map[string]string{}
	for _, match := range keyForm.FindAllStringSubmatch(fields, -1) {
		key, parts := match[1], match[2]
		switch {
		case objects[key] != nil:
			keys[key] = key
		case parts != "":
			objects[key] = map[string]string{}
			for _, part := range strings.Split(parts, ", ") {
				name, _, _ := strings.Cut(part, "=")
				objects[key][name] = ""
				if name == "fields" || strings.HasSuffix(name, "value") {
					objects[key][name] = anything
				}
			}
			keys[key] = key
		default:
			keys[key] = others[key]
		}
	}
	return keys
}

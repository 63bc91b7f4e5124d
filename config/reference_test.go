package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

//go:generate go test -run TestRulesDoc -update .

const rulesDoc = "../docs/rules.md"

// TestRulesDoc: the reference in docs/rules.md is what the tables say; -update writes it.
func TestRulesDoc(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(rulesDoc)
	must(t, err)
	const begin, end = "<!-- begin reference -->\n", "<!-- end reference -->"
	before, rest, ok := strings.Cut(string(raw), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no marks", rulesDoc)
	}
	want := before + begin + "\n" + referenceMarkdown() + end + after
	if *update {
		must(t, os.WriteFile(rulesDoc, []byte(want), 0o600))
		return
	}
	if string(raw) != want {
		t.Errorf("%s is stale: go test ./config -run TestRulesDoc -update", rulesDoc)
	}
}

func referenceMarkdown() string {
	var out strings.Builder
	out.WriteString("Durations are whole numbers with units: `\"10s\"`, `\"5m\"`, `\"1h30m\"`, `\"7d\"`. Sizes are `\"512KiB\"`, `\"16MiB\"`, `\"1GiB\"`. " +
		"Arguments that see nothing are decided once, when the configuration is loaded. 🔒 marks those that take secrets.\n\n")
	for _, b := range Reference() {
		title := "Outside of blocks"
		if b.Header != "" {
			title = "`" + b.Header + "`"
		}
		fmt.Fprintf(&out, "### %s\n\n", title)
		if outer, _, nested := cutLast(b.Name); nested {
			fmt.Fprintf(&out, "Within `%s`. ", strings.ReplaceAll(outer, ".", "` in `"))
		}
		if b.Description != "" {
			out.WriteString(b.Description)
		}
		if b.Several {
			out.WriteString(" There may be several.")
		}
		if b.Description != "" {
			out.WriteString("\n\n")
		}
		writeAttributes(&out, b.Attributes)
		if len(b.Blocks) > 0 && b.Name != "" {
			var names []string
			for _, name := range b.Blocks {
				_, own, _ := cutLast(name)
				names = append(names, "`"+own+"`")
			}
			fmt.Fprintf(&out, "Blocks within: %s.\n\n", strings.Join(names, ", "))
		}
	}
	out.WriteString("## Functions\n\nThe names and the behaviour are Terraform's.\n\n")
	category := ""
	for _, f := range FunctionDocs() {
		if f.Category != category {
			category = f.Category
			fmt.Fprintf(&out, "\n### %s\n\n| function | what it does | example |\n| --- | --- | --- |\n", category)
		}
		var examples []string
		for _, e := range f.Examples {
			example := "`" + e.Call + "`"
			if e.Result != "" {
				example += " is `" + e.Result + "`"
			}
			examples = append(examples, example)
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", f.Signature, cell(f.Description), cell(strings.Join(examples, "; ")))
	}
	return strings.ReplaceAll(out.String(), "\n\n\n", "\n\n") + "\n"
}

func writeAttributes(out *strings.Builder, attributes []AttributeDoc) {
	if len(attributes) == 0 {
		return
	}
	out.WriteString("| argument | is | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, a := range attributes {
		name, fallback, doc := "`"+a.Name+"`", "", a.Description
		if a.Secret {
			name += " 🔒"
		}
		switch {
		case a.Required:
			fallback = "required"
		case a.Default != "":
			fallback = "`" + a.Default + "`"
		}
		doc += " For example `" + a.Example + "`."
		if a.Sees != "" {
			doc += " Sees " + a.Sees + "."
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", name, a.Type, fallback, cell(doc))
	}
	out.WriteString("\n")
}

// cell escapes what would end a table's cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func cutLast(name string) (outer, own string, nested bool) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:], true
	}
	return "", name, false
}

// TestRulesDocExamples loads each example of docs/rules.md.
func TestRulesDocExamples(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(rulesDoc)
	must(t, err)
	examples := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(string(raw), -1)
	if len(examples) < 5 {
		t.Errorf("%d examples", len(examples))
	}
	for _, example := range examples {
		cfg, diags := Parse(map[string][]byte{"rules.md": []byte(example[1])}, WithEnv(func(name string) (string, bool) {
			if name == "DATABASE_URL" {
				return environment[name], true
			}
			return "a-secret", true
		}))
		requireNone(t, cfg, diags)
	}
}

// TestReferenceIsTrue: the example of each argument is taken, and so is its default,
// which changes nothing; secrets may go exactly where the reference says so.
func TestReferenceIsTrue(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "crm.pem"), rsaKey(t), 0o600))
	for _, b := range Reference() {
		for _, a := range b.Attributes {
			t.Run(b.Name+"."+a.Name, func(t *testing.T) {
				t.Parallel()
				if len(a.Description) < 10 || !strings.HasSuffix(a.Description, ".") || a.Type == "" {
					t.Errorf("description %q", a.Description)
				}
				_, diags := parseWith(folder, b, a.Name, a.Example)
				for _, d := range diags {
					if d.Severity == hcl.DiagError {
						t.Errorf("example %s: %s: %s", a.Example, d.Summary, d.Detail)
					}
				}
				_, diags = parseWith(folder, b, a.Name, `upper(env("TOKEN"))`)
				refused := slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool { return d.Summary == "Secret where none may go" })
				if refused == a.Secret && !strings.HasPrefix(a.Type, "list of") && a.Type != isAMap {
					t.Errorf("secret: the reference says %v, the loader says refused %v", a.Secret, refused)
				}
				if a.Default == "" {
					return
				}
				plain, diags := parseWith(folder, b, "", "")
				same, more := parseWith(folder, b, a.Name, a.Default)
				if diags.HasErrors() || more.HasErrors() {
					t.Fatalf("default %s: %v, %v", a.Default, diags, more)
				}
				equal(t, "default of "+a.Name, settings(t, same), settings(t, plain))
			})
		}
	}
}

// rsaKey returns a new key, as PEM.
func rsaKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// settings is what of a configuration can be compared: without expressions, places and
// what is empty.
func settings(t *testing.T, cfg *Config) any {
	t.Helper()
	encoded, err := json.Marshal(cfg)
	must(t, err)
	var tree any
	must(t, json.Unmarshal(encoded, &tree))
	return pruned(tree)
}

func pruned(tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		delete(tree, "DeclRange")
		for key, value := range tree {
			if tree[key] = pruned(value); tree[key] == nil {
				delete(tree, key)
			}
		}
		if len(tree) == 0 {
			return nil
		}
	case []any:
		for i := range tree {
			tree[i] = pruned(tree[i])
		}
		if len(tree) == 0 {
			return nil
		}
	}
	return tree
}

// parseWith parses a configuration that has the block with its required arguments and
// with the argument set to that value.
func parseWith(folder string, b BlockDoc, argument, value string) (*Config, hcl.Diagnostics) {
	src := wrap(b, bodyOf(b, argument, value))
	for _, needed := range []struct{ begin, src string }{
		{"topic \"a.b\"", "topic \"a.b\" {\n}"},
		{"database ", `database { url = env("DATABASE_URL") }`},
		{"webhook ", "webhook \"crm\" {\n topics = [\"*\"]\n url = \"https://crm.example/\"\n}"},
		{"webhook \"tickets\"", "webhook \"tickets\" {\n topics = [\"*\"]\n url = \"https://crm.example/\"\n capture {\n key = event.id\n value = response.json.id\n }\n batch {\n failed = response.json\n }\n}"},
	} {
		if !strings.Contains("\n"+src, "\n"+needed.begin) {
			src += "\n" + needed.src
		}
	}
	return Parse(map[string][]byte{"test.hcl": []byte(src)}, WithFolder(folder), WithEnv(func(name string) (string, bool) {
		values := map[string]string{
			"DATABASE_URL": "postgres://a/b", "DATABASE_DIRECT_URL": "postgres://a/b", "CRM_SECRET_OLD": "",
			"CRM_SECRET": environment["CRM_SECRET"],
		}
		if value, ok := values[name]; ok {
			return value, true
		}
		return "t0ken", true
	}))
}

func bodyOf(b BlockDoc, argument, value string) string {
	var out strings.Builder
	for _, a := range b.Attributes {
		switch {
		case a.Name == argument:
			fmt.Fprintf(&out, "%s = %s\n", a.Name, value)
		case a.Required:
			fmt.Fprintf(&out, "%s = %s\n", a.Name, a.Example)
		}
	}
	if b.Name == "test" {
		out.WriteString("event {\n type = \"x\"\n}\n")
		if argument != "expect_none" {
			out.WriteString("expect_none = [\"crm\"]\n")
		}
	}
	return out.String()
}

// wrap puts a block's body into the blocks around it.
func wrap(b BlockDoc, body string) string {
	switch outer, _, nested := cutLast(b.Name); {
	case b.Name == "":
		return body
	case !nested:
		return fmt.Sprintf("%s {\n%s}\n", b.Header, body)
	case strings.HasPrefix(outer, "webhook"):
		return fmt.Sprintf("webhook \"crm\" {\n topics = [\"*\"]\n url = \"https://crm.example/\"\n %s {\n%s}\n}\n", b.Header, body)
	case b.Name == "test.event":
		return fmt.Sprintf("test \"a\" {\n event {\n%s}\n expect_none = [\"crm\"]\n}\n", body)
	case outer == "test":
		header := strings.Replace(b.Header, `"crm"`, `"tickets"`, 1)
		response := "response {\n}\n"
		if b.Name == "test.response" {
			response = ""
		}
		return fmt.Sprintf("test \"a\" {\n event {\n type = \"x\"\n}\n %s %s {\n%s}\n expect_none = []\n}\n", response, header, body)
	default:
		return fmt.Sprintf("%s {\n %s {\n%s}\n}\n", outer, b.Header, body)
	}
}

// TestReferenceCoversAll: each block that the loader knows is described, once.
func TestReferenceCoversAll(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, b := range Reference() {
		if seen[b.Name] {
			t.Errorf("%s is described twice", b.Name)
		}
		seen[b.Name] = true
		if b.Name != "" && !strings.HasSuffix(b.Description, ".") {
			t.Errorf("%s: description %q", b.Name, b.Description)
		}
	}
	for key := range shapes {
		if !seen[key] {
			t.Errorf("%s is not described", key)
		}
	}
}

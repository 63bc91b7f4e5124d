package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

var update = flag.Bool("update", false, "write the golden files anew")

// loadBad loads a fixture of testdata/bad with testdata/base.hcl, or alone if its
// first line says so.
func loadBad(t *testing.T, path string) (map[string][]byte, *Config, hcl.Diagnostics) {
	t.Helper()
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		t.Fatal(err)
	} else if info.IsDir() {
		files, _ = filepath.Glob(filepath.Join(path, "*.hcl"))
	}
	sources := map[string][]byte{}
	alone := false
	for _, file := range files {
		src, err := os.ReadFile(file)
		must(t, err)
		sources[filepath.Base(file)] = src
		alone = alone || bytes.HasPrefix(src, []byte("# alone"))
	}
	if !alone {
		src, err := os.ReadFile("testdata/base.hcl")
		must(t, err)
		sources["base.hcl"] = src
	}
	cfg, diags := Parse(sources, withTestEnv(), WithFolder("testdata/bad"))
	return sources, cfg, diags
}

var (
	wantComment = regexp.MustCompile(`# want( nowhere)? ("(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*)`)
	quotedWant  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// wants returns the patterns that fixtures expect, by file:line; "nowhere" for
// diagnostics without a place.
func wants(sources map[string][]byte) map[string][]string {
	all := map[string][]string{}
	for name, src := range sources {
		for i, line := range strings.Split(string(src), "\n") {
			match := wantComment.FindStringSubmatch(line)
			if match == nil {
				continue
			}
			at := name + ":" + strconv.Itoa(i+1)
			if match[1] != "" {
				at = "nowhere"
			}
			for _, pattern := range quotedWant.FindAllString(match[2], -1) {
				pattern = strings.ReplaceAll(pattern[1:len(pattern)-1], `\"`, `"`)
				all[at] = append(all[at], "(?s)"+pattern)
			}
		}
	}
	return all
}

// TestBadInput checks that each fixture gives exactly the diagnostics that its
// comments ask for, each on its line: errors in bad, only warnings in odd.
func TestBadInput(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/bad/*")
	must(t, err)
	odd, err := filepath.Glob("testdata/odd/*")
	must(t, err)
	fixtures = append(fixtures, odd...)
	for _, path := range fixtures {
		if info, err := os.Stat(path); err != nil || !info.IsDir() && filepath.Ext(path) != ".hcl" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			sources, cfg, diags := loadBad(t, path)
			expected := wants(sources)
			for _, d := range diags {
				at := "nowhere"
				if d.Subject != nil {
					at = place(*d.Subject)
				}
				if !take(expected, at, d.Summary+". "+d.Detail) {
					t.Errorf("unexpected at %s:\n%s", at, render(t, cfg, hcl.Diagnostics{d}))
				}
			}
			for at, patterns := range expected {
				for _, pattern := range patterns {
					t.Errorf("%s: no diagnostic %q", at, pattern)
				}
			}
			if diags.HasErrors() == strings.Contains(path, "/odd/") {
				t.Errorf("errors: %v", diags.HasErrors())
			}
			requireNoSecret(t, cfg, diags)
		})
	}
}

// take removes the first pattern at that place that the message matches.
func take(expected map[string][]string, at, message string) bool {
	for i, pattern := range expected[at] {
		if regexp.MustCompile(pattern).MatchString(message) {
			expected[at] = append(expected[at][:i:i], expected[at][i+1:]...)
			return true
		}
	}
	return false
}

func requireNoSecret(t *testing.T, cfg *Config, diags hcl.Diagnostics) {
	t.Helper()
	text := render(t, cfg, diags)
	encoded, err := DiagnosticsJSON(cfg.Files, diags)
	must(t, err)
	text = strings.ToLower(text + string(encoded))
	for _, name := range []string{"DATABASE_URL", "TOKEN", "CRM_SECRET"} {
		if strings.Contains(text, strings.ToLower(environment[name])) {
			t.Errorf("%s is shown:\n%s", name, text)
		}
	}
	for _, d := range diags {
		if d.Expression != nil || d.EvalContext != nil {
			t.Errorf("%s: has an expression, from which HCL's writer shows values", d.Summary)
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"several", "duplicates.hcl", "nothing.hcl", "secrets.hcl", "syntax.hcl"} {
		_, cfg, diags := loadBad(t, filepath.Join("testdata/bad", name))
		encoded, err := DiagnosticsJSON(cfg.Files, diags)
		must(t, err)
		golden(t, strings.TrimSuffix(name, ".hcl")+".txt", []byte(render(t, cfg, diags)))
		golden(t, strings.TrimSuffix(name, ".hcl")+".json", encoded)
		if !json.Valid(encoded) {
			t.Errorf("%s: not JSON", name)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata/golden", name)
	if *update {
		must(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; go test ./config -update writes it anew. Got:\n%s", path, got)
	}
}

func TestWriteDiagnosticsColor(t *testing.T) {
	t.Parallel()
	_, cfg, diags := loadBad(t, "testdata/bad/several")
	var plain, color strings.Builder
	must(t, WriteDiagnostics(&plain, cfg.Files, diags, false))
	must(t, WriteDiagnostics(&color, cfg.Files, diags, true))
	stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(color.String(), "")
	if color.String() == stripped || stripped != plain.String() {
		t.Error("color must add sequences, and nothing else")
	}
}

// TestWriteDiagnosticsControls: a source must not be able to steer the terminal.
func TestWriteDiagnosticsControls(t *testing.T) {
	t.Parallel()
	cfg, diags := Parse(map[string][]byte{"a.hcl": []byte("rules = \"\x1b[2J\"\t# x")}, withTestEnv())
	if got := render(t, cfg, diags); strings.ContainsRune(got, '\x1b') {
		t.Errorf("an escape sequence is written: %q", got)
	}
}

func TestWriteDiagnosticsFailingWriter(t *testing.T) {
	t.Parallel()
	cfg, diags := Parse(nil)
	broken := errors.New("broken pipe")
	if err := WriteDiagnostics(writerFunc(func([]byte) (int, error) { return 0, broken }), cfg.Files, diags, false); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestDiagnosticsJSONOfNone(t *testing.T) {
	t.Parallel()
	encoded, err := DiagnosticsJSON(nil, nil)
	must(t, err)
	want := "{\n  \"format\": 1,\n  \"errors\": 0,\n  \"warnings\": 0,\n  \"diagnostics\": []\n}\n"
	equal(t, "json", string(encoded), want)
}

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Option changes how Load and Parse read their surroundings.
type Option func(*loader)

// WithEnv makes env() ask lookup instead of the process's environment.
func WithEnv(lookup func(name string) (value string, ok bool)) Option {
	return func(l *loader) { l.reading.lookup = lookup }
}

// WithFolder makes file() resolve relative paths against folder. Load sets it to
// the folder of what it loads; Parse's default is the working directory.
func WithFolder(folder string) Option {
	return func(l *loader) { l.reading.folder = folder }
}

// Load reads the file at path, or every *.hcl file of the directory at path in
// name order (not its subdirectories, nor names that begin with a dot).
//
// It returns every problem at once. If one of them is an error, the Config has
// only Files set, which WriteDiagnostics needs to quote the source.
func Load(path string, opts ...Option) (*Config, hcl.Diagnostics) {
	sources, folder, diags := readSources(path)
	if diags.HasErrors() {
		return &Config{Files: filesOf(sources)}, diags
	}
	return Parse(sources, append([]Option{WithFolder(folder)}, opts...)...)
}

// Parse is Load for sources in memory, by the name that diagnostics show. They
// are merged in the order of these names.
func Parse(sources map[string][]byte, opts ...Option) (*Config, hcl.Diagnostics) {
	l := newLoader()
	for _, opt := range opts {
		opt(l)
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		l.parse(name, sources[name])
	}
	l.decode()
	diags := l.finish()
	if diags.HasErrors() {
		return &Config{Files: l.config.Files}, diags
	}
	return l.config, diags
}

// loader turns sources into a Config and collects problems on the way.
type loader struct {
	config  *Config
	reading *reading
	diags   hcl.Diagnostics

	rules  []*hclsyntax.Attribute        // each `rules = …` at top level
	blocks map[string][]*hclsyntax.Block // top-level blocks by type, in file order

	// broken says that some source has a syntax error. What seems to be missing
	// may then only be unreadable, so that nothing is said about absences.
	broken   bool
	defaults defaults

	locals   *locals         // the top-level ones
	seen     []*locals       // all that were read
	within   webhookScopes   // of the block that is being read
	owner    string          // name of the webhook that is being read, for suggestions
	paths    []payloadPath   // from events, in what was evaluated since the webhook began
	never    map[*Rule]bool  // rules that can't match
	captures map[string]bool // each webhook's name, and whether it has a capture block
}

func newLoader() *loader {
	r := newReading()
	return &loader{
		config:  &Config{Functions: functions(r), Files: map[string]*hcl.File{}},
		reading: r,
		blocks:  map[string][]*hclsyntax.Block{},
		never:   map[*Rule]bool{},
	}
}

// readSources reads the file or directory at path.
func readSources(path string) (sources map[string][]byte, folder string, diags hcl.Diagnostics) {
	sources = map[string][]byte{}
	info, err := os.Stat(path)
	if err != nil {
		return sources, "", unreadable(path, err)
	}
	if !info.IsDir() {
		diags = readSource(sources, path)
		return sources, filepath.Dir(path), diags
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return sources, "", unreadable(path, err)
	}
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		// A Kubernetes ConfigMap is a folder of links into a hidden folder: follow the
		// links, skip what is hidden.
		if strings.HasPrefix(entry.Name(), ".") || filepath.Ext(name) != ".hcl" {
			continue
		}
		diags = append(diags, readSource(sources, name)...)
	}
	if len(sources) == 0 && !diags.HasErrors() {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "No configuration",
			Detail:   fmt.Sprintf("The folder %s has no file that ends in .hcl. \"walpost init\" writes one to start from.", path),
		})
	}
	return sources, path, diags
}

func readSource(sources map[string][]byte, name string) hcl.Diagnostics {
	info, err := os.Stat(name)
	if err != nil {
		return unreadable(name, err)
	}
	if info.Size() > maxSource {
		return hcl.Diagnostics{tooLarge(name, "has more than 1 MiB")}
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return unreadable(name, err)
	}
	sources[name] = src
	return nil
}

func unreadable(path string, err error) hcl.Diagnostics {
	detail := fmt.Sprintf("Can't read %s: %v.", path, reason(err))
	if os.IsNotExist(err) {
		detail = fmt.Sprintf("There is no %s. Name the file or folder with -c, or let \"walpost init\" write one to start from.", path)
	}
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Can't read the configuration", Detail: detail}}
}

// reason is the cause of a file error, without the path and the system call.
func reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// filesOf gives diagnostics the sources of a load that didn't get as far as parsing.
func filesOf(sources map[string][]byte) map[string]*hcl.File {
	files := map[string]*hcl.File{}
	for name, src := range sources {
		files[name] = &hcl.File{Bytes: src}
	}
	return files
}

// parse parses one source and sorts its top level into rules and blocks.
func (l *loader) parse(name string, src []byte) {
	if d := tooMuch(name, src); d != nil {
		l.config.Files[name] = &hcl.File{Bytes: src}
		l.diags = append(l.diags, d)
		l.broken = true
		return
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	l.config.Files[name] = file
	l.add(diags...)
	if diags.HasErrors() {
		l.broken = true
	}
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		l.sortBody(body, diags)
	}
}

// sortBody files the top level of one source. What has a syntax error within is left
// out: what the parser could salvage of it would only give false problems.
func (l *loader) sortBody(body *hclsyntax.Body, syntax hcl.Diagnostics) {
	broken := func(at hcl.Range) bool {
		return slices.ContainsFunc(syntax, func(d *hcl.Diagnostic) bool {
			return d.Subject != nil && d.Subject.Overlaps(at)
		})
	}
	for _, attr := range attributesOf(body) {
		if broken(attr.SrcRange) {
			continue
		}
		if attr.Name == "rules" {
			l.rules = append(l.rules, attr)
			continue
		}
		l.unsupportedAttribute(attr, topLevel)
	}
	for _, block := range body.Blocks {
		if broken(block.Range()) {
			continue
		}
		if _, known := shapes[block.Type]; !known {
			l.unsupportedBlock(block, topLevel)
			continue
		}
		l.blocks[block.Type] = append(l.blocks[block.Type], block)
	}
}

// decode reads everything; what others refer to comes first.
func (l *loader) decode() {
	l.findCaptures()
	l.decodeLocals()
	l.decodePack()
	l.decodeTopics(l.blocks["topic"], false)
	l.decodeDatabase()
	l.decodeOutbox()
	l.decodeLedger()
	l.decodeAdmin()
	l.decodeEgress()
	l.decodeDefaults()
	l.decodeRules()
	l.decodeWebhooks()
	l.decodeTests()
	l.unusedLocals()
}

// decodePack reads `rules = …` and the pack that it names.
func (l *loader) decodePack() {
	l.config.Pack = PackGist
	for i, attr := range l.rules {
		if i > 0 {
			l.duplicate(attr.NameRange, l.rules[0].NameRange, `"rules"`)
			continue
		}
		if pack, ok := l.choice(attr, "rules", PackGist, PackNone); ok {
			l.config.Pack = pack
		}
	}
	if l.config.Pack == PackNone {
		return
	}
	file, diags := hclsyntax.ParseConfig(gist, gistFile, hcl.InitialPos)
	l.config.Files[gistFile] = file
	l.add(diags...)
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		l.decodeTopics(body.Blocks, true)
	}
}

// one returns the only block of a type, nil if there is none, and reports others.
func (l *loader) one(kind string) *block {
	blocks := l.blocks[kind]
	if len(blocks) == 0 {
		return nil
	}
	for _, again := range blocks[1:] {
		l.duplicate(again.DefRange(), blocks[0].DefRange(), fmt.Sprintf("%q block", kind))
		l.open(again) // for its own problems
	}
	return l.open(blocks[0])
}

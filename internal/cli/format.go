package cli

import (
	stdbytes "bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
)

// stdinName is what stands for standard input among the arguments.
const stdinName = "-"

func (a *app) fmtCommand() *cobra.Command {
	f := &formatting{app: a}
	cmd := &cobra.Command{
		Use:   "fmt [FILE|DIR|-]...",
		Short: "Format configuration files",
		Long: `Bring configuration files into the canonical form: indentation, and equal signs that
stand under each other. Meaning and comments stay as they are. Without arguments, the
configuration that other commands would read. Prints the names of the files that it
changes; "-" reads standard input and writes standard output.

A file with a syntax error is left alone and shown, and the exit code is 3.`,
		Example: `  walpost fmt
  walpost fmt -check -diff        # for CI: changes nothing, exits with 4 if there is something to do
  walpost fmt - < draft.hcl`,
		RunE: func(_ *cobra.Command, args []string) error { return f.run(args) },
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "change nothing; exit with 4 if a file is not formatted")
	cmd.Flags().BoolVar(&f.diff, "diff", false, "change nothing; show what would change")
	return cmd
}

// formatting is one run of walpost fmt.
type formatting struct {
	*app
	check, diff bool
	unformatted int
	broken      hcl.Diagnostics
	files       map[string]*hcl.File // the broken ones
}

func (f *formatting) run(args []string) error {
	if len(args) == 0 {
		path, err := f.locate()
		if err != nil {
			return err
		}
		args = []string{path}
	}
	f.files = map[string]*hcl.File{}
	for _, arg := range args {
		if err := f.argument(arg); err != nil {
			return err
		}
	}
	switch {
	case len(f.broken) > 0:
		return f.refuse(f.files, f.broken)
	case f.check && f.unformatted > 0:
		return &failure{code: exitCheck}
	}
	return nil
}

// argument formats what an argument names.
func (f *formatting) argument(path string) error {
	if path == stdinName {
		return f.stdin()
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed("walpost fmt FILE|DIR", "there is no file or folder %s", path)
	case err != nil:
		return fmt.Errorf("format %s: %w", path, err)
	case !info.IsDir():
		return f.file(path, info.Mode())
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("format %s: %w", path, err)
	}
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		// What config.Load reads of a folder.
		if filepath.Ext(name) != ".hcl" || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			if err := f.file(name, info.Mode()); err != nil {
				return err
			}
		}
	}
	return nil
}

// stdin formats standard input to standard output.
func (f *formatting) stdin() error {
	source, err := io.ReadAll(f.Stdin)
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	formatted, ok := f.format("<stdin>", source)
	switch {
	case !ok:
		return nil
	case f.check || f.diff:
		return f.report("<stdin>", source, formatted)
	}
	_, err = f.Stdout.Write(formatted)
	return err
}

func (f *formatting) file(path string, mode fs.FileMode) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("format %s: %w", path, err)
	}
	formatted, ok := f.format(path, source)
	if !ok {
		return nil
	}
	if err := f.report(path, source, formatted); err != nil {
		return err
	}
	if f.check || f.diff || stdbytes.Equal(source, formatted) {
		return nil
	}
	return replaceFile(path, formatted, mode)
}

// format gives the canonical form; false: it has a syntax error, which is kept for the end.
func (f *formatting) format(name string, source []byte) ([]byte, bool) {
	file, diagnostics := hclsyntax.ParseConfig(source, name, hcl.InitialPos)
	if diagnostics.HasErrors() {
		f.files[name] = file
		f.broken = append(f.broken, diagnostics...)
		return nil, false
	}
	return hclwrite.Format(source), true
}

// report names a file that is not formatted, or shows the difference.
func (f *formatting) report(name string, source, formatted []byte) error {
	if stdbytes.Equal(source, formatted) {
		return nil
	}
	f.unformatted++
	text := name + "\n"
	if f.diff {
		text = string(diff.Diff(name, source, name+" (formatted)", formatted))
	}
	_, err := io.WriteString(f.Stdout, text)
	return err
}

// replaceFile puts the content in place of the file's, at once: who reads meanwhile gets either the old or the new one.
// A symbolic link stays one.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	// The dot keeps a daemon that polls the folder from reading it.
	draft, err := os.CreateTemp(filepath.Dir(target), ".walpost-fmt-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = draft.Write(content)
	err = errors.Join(err, draft.Chmod(mode.Perm()), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), target)
	}
	if err != nil {
		_ = os.Remove(draft.Name()) // what is told is why it is of no use
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

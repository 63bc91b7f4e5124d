package cli

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// lineReader reads lines from a terminal, with editing and history, or from anything else.
type lineReader struct {
	interactive bool
	out, errs   io.Writer
	next        func(more bool) (string, error) // more: the line goes on with the one before
	close       func()
}

const (
	prompt     = "> "
	promptMore = "… "
	// maxLine is the longest line that is read from a pipe, in bytes.
	maxLine = 1 << 20
)

// lines prepares to read standard input.
func (r *repl) lines() (*lineReader, error) {
	in, isFile := r.Stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) || !isTerminal(r.Stdout) {
		scanner := bufio.NewScanner(r.Stdin)
		scanner.Buffer(nil, maxLine)
		return &lineReader{
			out: r.Stdout, errs: r.stderr,
			close: func() {},
			next: func(bool) (string, error) {
				if scanner.Scan() {
					return scanner.Text(), nil
				}
				if err := scanner.Err(); err != nil {
					return "", err
				}
				return "", io.EOF
			},
		}, nil
	}
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("prepare the terminal: %w", err)
	}
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, r.Stdout}, prompt)
	terminal.AutoCompleteCallback = r.complete
	return &lineReader{
		interactive: true,
		out:         terminal, errs: terminal,
		close: func() { _ = term.Restore(fd, before) }, // nothing is left to do about it
		next: func(more bool) (string, error) {
			// Some terminals say that they have no width; x/term's own is better then.
			if width, height, err := term.GetSize(fd); err == nil && width > 0 {
				_ = terminal.SetSize(width, height) // only fails where writing does
			}
			terminal.SetPrompt(prompt)
			if more {
				terminal.SetPrompt(promptMore)
			}
			return terminal.ReadLine()
		},
	}, nil
}

// complete completes the word before the cursor, as far as there is only one way to go on.
func (r *repl) complete(line string, pos int, key rune) (newLine string, newPos int, ok bool) {
	if key != '\t' {
		return "", 0, false
	}
	start := pos
	for start > 0 && isWordByte(line[start-1]) {
		start--
	}
	word := line[start:pos]
	if word == "" {
		return line, pos, true
	}
	completed := commonPrefix(r.words(), word)
	return line[:start] + completed + line[pos:], start + len(completed), true
}

func isWordByte(c byte) bool {
	return c == '_' || c == '.' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// words are what a word can be completed to.
func (r *repl) words() []string {
	words := []string{":help", ":event", ":sample ", ":load ", ":topic", ":quit"}
	for name := range r.base.Functions {
		words = append(words, name+"(")
	}
	for _, local := range r.base.Locals {
		words = append(words, "local."+local.Name)
	}
	for _, topic := range r.base.Topics {
		words = append(words, topic.Name)
	}
	return append(words, r.paths()...)
}

// commonPrefix gives the longest beginning that all words with this beginning share; the word itself if there is none.
func commonPrefix(words []string, word string) string {
	common, found := "", false
	for _, w := range slices.Sorted(maps.Keys(asSet(words))) {
		if !strings.HasPrefix(w, word) {
			continue
		}
		if !found {
			common, found = w, true
			continue
		}
		for !strings.HasPrefix(w, common) {
			common = common[:len(common)-1]
		}
	}
	if !found {
		return word
	}
	return common
}

func asSet(words []string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

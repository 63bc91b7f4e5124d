package architecture

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedTestsAreThere: a document that names the test which shows something is worth as much as that test is there.
func TestDocumentedTestsAreThere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	tests := testsOf(t, os.DirFS(root))
	text, err := os.ReadFile(filepath.Join(root, "docs", "replication-failures.md"))
	if err != nil {
		t.Fatal(err)
	}
	named, room := 0, ""
	for _, match := range regexp.MustCompile("(?:([a-z]+) )?`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllStringSubmatch(string(text), -1) {
		if match[1] != "" {
			room = match[1]
		}
		if named++; !tests[room+" "+match[2]] {
			t.Errorf("there is no test %s in %s", match[2], room)
		}
	}
	if named < 80 {
		t.Errorf("only %d tests are named", named)
	}
}

// testsOf are the tests of the tree, each behind the name of its folder.
func testsOf(t *testing.T, tree fs.FS) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		for _, match := range function.FindAllSubmatch(text, -1) {
			tests[path.Base(path.Dir(name))+" "+string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

//go:build unix

package pgembed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes an executable shell script.
func program(t *testing.T, path, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// installation makes a folder with programs that say they are of a version.
func installation(t *testing.T, bin, version string) {
	t.Helper()
	program(t, filepath.Join(bin, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
	program(t, filepath.Join(bin, "initdb"), "")
}

// TestFindBinaries changes the environment and what is installed, so it runs alone.
func TestFindBinaries(t *testing.T) {
	root := t.TempDir()
	old := installed
	installed = []string{filepath.Join(root, "lib/*/bin"), filepath.Join(root, "brew/postgresql@*/bin")}
	t.Cleanup(func() { installed = old })
	t.Setenv("PATH", filepath.Join(root, "path")+":/bin:/usr/bin")
	t.Setenv(BinEnv, "")
	find := func(forced string, major int) string {
		t.Helper()
		found, ok, err := findBinaries(t.Context(), forced, major)
		if err != nil || ok != (found.dir != "") {
			t.Fatalf("got %+v, %v, %v", found, ok, err)
		}
		dir, _ := strings.CutPrefix(found.dir, root+"/")
		return dir
	}
	expect := func(forced string, major int, want string) {
		t.Helper()
		if got := find(forced, major); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}

	expect("", 0, "")
	installation(t, filepath.Join(root, "lib/9.6/bin"), "9.6.24")
	expect("", 0, "") // too old
	installation(t, filepath.Join(root, "lib/15/bin"), "15.18 (Debian 15.18-0+deb12u1)")
	expect("", 0, "lib/15/bin")
	installation(t, filepath.Join(root, "brew/postgresql@17/bin"), "17.2 (Homebrew)")
	expect("", 0, "brew/postgresql@17/bin") // the newest
	expect("", 15, "lib/15/bin")
	expect("", 18, "")
	program(t, filepath.Join(root, "lib/18/bin/postgres"), "echo no library >&2; exit 127")
	program(t, filepath.Join(root, "lib/18/bin/initdb"), "")
	expect("", 0, "brew/postgresql@17/bin") // 18 is broken

	installation(t, filepath.Join(root, "opt/bin"), "16devel")
	if err := os.MkdirAll(filepath.Join(root, "path"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "opt/bin/postgres"), filepath.Join(root, "path/postgres")); err != nil {
		t.Fatal(err)
	}
	expect("", 0, "opt/bin") // by a link in PATH
	expect("", 15, "lib/15/bin")
	t.Setenv(BinEnv, filepath.Join(root, "lib/15/bin"))
	expect("", 0, "lib/15/bin")
	expect(filepath.Join(root, "opt/bin"), 0, "opt/bin")

	t.Setenv(BinEnv, filepath.Join(root, "lib/18/bin"))
	_, _, err := findBinaries(t.Context(), "", 0)
	var setup *SetupError
	if !errors.As(err, &setup) || !strings.HasSuffix(err.Error(),
		"lib/18/bin ($WALPOST_PG_BIN) has no usable Postgres server: ask postgres for its version: exit status 127: no library") {
		t.Errorf("got %v", err)
	}
}

func TestParseMajor(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 9.6.24":                           9,
		"psql 15":                                                0,
		"postgres (PostgreSQL) x":                                0,
	} {
		if got, err := parseMajor(version); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", version, got, err, want)
		}
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("/tmp", "walpost-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	inner := filepath.Join(root, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	stranger := &account{uid: 4000000000, gid: 4000000000}
	owner := &account{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}
	for _, test := range []struct {
		mode os.FileMode
		as   *account
		want bool
	}{
		{0o700, stranger, false},
		{0o710, stranger, false},
		{0o711, stranger, true},
		{0o700, owner, true},
		{0o011, owner, false},
		{0o000, nil, true},
	} {
		if err := os.Chmod(root, test.mode); err != nil {
			t.Fatal(err)
		}
		if got := test.as.reaches(inner); got != test.want && (os.Getuid() == 0 || test.mode&0o100 != 0) {
			t.Errorf("%v with mode %o: %v", test.as, test.mode, got)
		}
	}
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	if stranger.reaches(filepath.Join(root, "nowhere")) {
		t.Error("a folder that is not there can be entered")
	}
}

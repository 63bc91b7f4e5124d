package pgembed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// BinEnv is the environment variable that names the folder with the postgres
// and initdb programs to use.
const BinEnv = "WALPOST_PG_BIN"

// minMajor is the oldest Postgres whose programs are taken: walpost needs
// pg_terminate_backend with a timeout and publications as version 14 has them.
const minMajor = 14

// installed holds the patterns under which Linux distributions and Homebrew put
// the server's programs, which are seldom in PATH.
var installed = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                   // Red Hat, Fedora (PGDG)
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew, Apple silicon
	"/usr/local/opt/postgresql@*/bin",    // Homebrew, Intel
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// binaries are the programs of one Postgres installation.
type binaries struct {
	dir   string // folder with postgres and initdb
	major int    // 15 of "15.18"
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// findBinaries gives the programs to use: those of the forced folder, else of
// $WALPOST_PG_BIN, else the first in PATH, else the newest installed ones. A major
// version other than 0 skips installations of other versions. None is ok = false.
func findBinaries(ctx context.Context, forced string, major int) (found binaries, ok bool, err error) {
	for _, chosen := range []struct{ dir, by string }{
		{forced, "the folder asked for"},
		{os.Getenv(BinEnv), "$" + BinEnv},
	} {
		if chosen.dir == "" {
			continue
		}
		b, err := inspect(ctx, chosen.dir)
		if err != nil {
			return binaries{}, false, &SetupError{
				Problem: fmt.Sprintf("%s (%s) has no usable Postgres server", chosen.dir, chosen.by),
				Fix:     "name the folder that has the programs postgres and initdb, e.g. /usr/lib/postgresql/17/bin",
				Err:     err,
			}
		}
		return b, true, nil
	}
	for _, dir := range candidates() {
		b, err := inspect(ctx, dir)
		if err == nil && b.major >= minMajor && (major == 0 || b.major == major) {
			return b, true, nil
		}
	}
	return binaries{}, false, ctx.Err()
}

// candidates lists folders to look in, best first. PATH comes before what is
// installed elsewhere: it is what the user chose.
func candidates() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// A link in /usr/local/bin says nothing of where initdb and the libraries are.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	var rest []string
	for _, pattern := range installed {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // a pattern of ours is malformed
		}
		rest = append(rest, matches...)
	}
	slices.SortStableFunc(rest, func(a, b string) int { return majorInPath(b) - majorInPath(a) })
	return append(dirs, rest...)
}

// majorInPath reads the version from a folder such as /usr/lib/postgresql/15/bin
// or …/postgresql@16/bin; 0 if it has none.
func majorInPath(bin string) int {
	name := filepath.Base(filepath.Dir(bin))
	digits := name[strings.LastIndexAny(name, "@-")+1:]
	digits, _, _ = strings.Cut(digits, ".")
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return major
}

// inspect checks that a folder has both programs and asks for their version.
func inspect(ctx context.Context, dir string) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, fmt.Errorf("find the folder: %w", err)
	}
	b := binaries{dir: dir}
	if _, err := os.Stat(b.path("initdb")); err != nil {
		return binaries{}, fmt.Errorf("look for initdb: %w", err)
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr)) // e.g. a missing library
	}
	if err != nil {
		return binaries{}, fmt.Errorf("ask postgres for its version: %w", err)
	}
	if b.major, err = parseMajor(string(out)); err != nil {
		return binaries{}, err
	}
	return b, nil
}

// parseMajor reads 15 from "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
// and 19 from "postgres (PostgreSQL) 19beta1".
func parseMajor(version string) (int, error) {
	_, number, ok := strings.Cut(version, "(PostgreSQL) ")
	if !ok {
		return 0, errors.New("not a Postgres version: " + strconv.Quote(version))
	}
	end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		number = number[:end]
	}
	major, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("read the version from %q: %w", version, err)
	}
	return major, nil
}

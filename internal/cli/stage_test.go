//go:build unix

package cli_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/walpost/walpost/internal/pgtest"
)

// stage is what one script plays on.
type stage struct {
	t         testing.TB
	database  *pgtest.Database
	receivers map[string]*receiver
	process   *process
	connected chan struct{} // of cmdSilence
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// use makes the database the script's, as DATABASE_URL and SLOT.
func (s *stage) use(db *pgtest.Database, setenv func(name, value string)) {
	s.database = db
	setenv("DATABASE_URL", db.URL)
	setenv("SLOT", db.Name)
}

// end stops what the script has left running.
func (s *stage) end() {
	if s.process != nil {
		s.process.kill()
	}
	for _, r := range s.receivers {
		r.server.Close()
	}
}

// cmdExpand replaces @NAME@ in files by the environment: expand walpost.hcl.
func cmdExpand(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		text := regexp.MustCompile(`@[A-Z_]+@`).ReplaceAllStringFunc(ts.ReadFile(file), func(name string) string {
			return ts.Getenv(strings.Trim(name, "@"))
		})
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// cmdSQL runs a statement and prints the rows, or a file of statements, or makes the result a variable:
// sql 'select 1', sql -f init.sql, sql -set ID 'select id from t'.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	conn, err := pgx.Connect(s.t.Context(), ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	defer func() { ts.Check(conn.Close(s.t.Context())) }()
	if args[0] == "-f" {
		// As psql does: each statement in a transaction of its own, unless the file says otherwise.
		for _, statement := range statements(ts.ReadFile(args[1])) {
			_, err := conn.Exec(s.t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
			ts.Check(err)
		}
		return
	}
	if args[0] == "-set" {
		var value string
		ts.Check(conn.QueryRow(s.t.Context(), args[2], pgx.QueryExecModeSimpleProtocol).Scan(&value))
		ts.Setenv(args[1], value)
		return
	}
	rows, _ := conn.Query(s.t.Context(), strings.Join(args, " "), pgx.QueryExecModeSimpleProtocol)
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		ts.Check(err)
		_, err = fmt.Fprintln(ts.Stdout(), values...)
		ts.Check(err)
	}
	if err := rows.Err(); (err != nil) != neg {
		ts.Fatalf("sql: unexpected result: %v", err)
	}
}

// statements splits a script at semicolons at the end of a line, outside of $$ quotes.
func statements(script string) []string {
	var all []string
	var statement strings.Builder
	for line := range strings.Lines(script) {
		statement.WriteString(line)
		quoted := strings.Count(statement.String(), "$$")%2 == 1
		if !quoted && strings.HasSuffix(strings.TrimSpace(line), ";") {
			all = append(all, statement.String())
			statement.Reset()
		}
	}
	return all
}

// cmdRole makes a role, its connection string a variable, and its name NAME: role URL [ATTRIBUTES].
func cmdRole(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	name, connString := s.database.Role(s.t, strings.Join(args[1:], " "))
	ts.Setenv(args[0], connString)
	ts.Setenv("NAME", name)
}

// cmdURL makes a variable of DATABASE_URL with another database or password: url URL database=x password=y.
func cmdURL(ts *testscript.TestScript, _ bool, args []string) {
	u, err := url.Parse(ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	for _, arg := range args[1:] {
		switch name, value, _ := strings.Cut(arg, "="); name {
		case "database":
			u.Path = "/" + value
		case "password":
			u.User = url.UserPassword(u.User.Username(), value)
		default:
			ts.Fatalf("url: what is %q?", arg)
		}
	}
	ts.Setenv(args[0], u.String())
}

// cmdCode runs a command that exits with that code: code 2 walpost staus.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s exits with %d, not %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// cmdServer starts a server of the script's own and goes on with a database there: server wal_level=replica.
func cmdServer(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	settings := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		settings[name] = value
	}
	s.use(pgtest.NewOn(s.t, pgtest.Start(s.t, settings)), ts.Setenv)
}

// What differs from run to run. In the order of replacement.
var untidy = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.0-9]*(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`(?m)^(webhook-timestamp|webhook-signature): .*`), "$1: (of this attempt)"},
	{regexp.MustCompile(`"created_at":\d{10}\b`), `"created_at":TIME`},
	{regexp.MustCompile(`\b[0-9A-F]+/[0-9A-F]{2,}\b`), "LSN"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`[0-9.]+ ([KMG]iB|B)\b`), "SIZE"},
	{regexp.MustCompile(`\b\d+s ago`), "AGE ago"},
	{regexp.MustCompile(`\bin (\d+[dhms] ?)+`), "in AGE "},
	{regexp.MustCompile(`(?m)(_seconds|_bytes|"duration_ns"|"epoch"|"timeline")("?): [0-9.e+-]+`), "$1$2: N"},
	{regexp.MustCompile(`\b[\d.]+m?s\b`), "DURATION"},
	{regexp.MustCompile(`(\S) {3,}`), "$1  "},
}

// cmdTidy replaces in the last output what differs from run to run, for cmp: tidy.
func cmdTidy(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	clean := func(text string) string {
		text = strings.ReplaceAll(text, s.database.Name, "SLOT")
		text = strings.ReplaceAll(text, ts.Getenv("WORK"), "WORK")
		for _, u := range untidy {
			text = u.what.ReplaceAllString(text, u.with)
		}
		return regexp.MustCompile(`(?m) +$`).ReplaceAllString(text, "")
	}
	out, err := clean(ts.ReadFile("stdout")), clean(ts.ReadFile("stderr"))
	_, errOut := fmt.Fprint(ts.Stdout(), out)
	ts.Check(errOut)
	_, errOut = fmt.Fprint(ts.Stderr(), err)
	ts.Check(errOut)
}

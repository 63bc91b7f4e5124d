//go:build unix

// Package examples holds no code, only the test that the examples run as they stand.
package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// environments has the variables that each example's README says to set.
var environments = map[string]map[string]string{
	"quickstart": {
		"DATABASE_URL":   "postgres://localhost/app",
		"WEBHOOK_URL":    "https://example.com/hooks",
		"WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	},
	"polling": {
		"DATABASE_URL": "postgres://localhost/app",
		"WEBHOOK_URL":  "https://example.com/hooks",
	},
	"go-app": {
		"DATABASE_URL":   "postgres://localhost/app",
		"WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	},
	"debezium-outbox": {
		"DATABASE_URL":   "postgres://localhost/app",
		"FULFILMENT_URL": "https://example.com/fulfilment",
		"SALES_URL":      "https://example.com/sales",
	},
}

// environment gives an example's variables; those of deployments are in their own files.
func environment(t *testing.T, example string) map[string]string {
	t.Helper()
	switch example {
	case "kubernetes":
		return variables(t, "kubernetes/secret.yaml", `(?m)^  ([A-Z_]+): (\S+)$`)
	case "systemd":
		return variables(t, "systemd/walpost.env", `(?m)^([A-Z_]+)=(\S+)$`)
	default:
		return environments[example]
	}
}

func variables(t *testing.T, file, pattern string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1) {
		all[match[1]] = match[2]
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func load(t *testing.T, example string) *config.Config {
	t.Helper()
	set := environment(t, example)
	cfg, diags := config.Load(filepath.Join(example, "walpost.hcl"), config.WithEnv(func(name string) (string, bool) {
		value, ok := set[name]
		return value, ok
	}))
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return cfg
}

// Every folder with a walpost.hcl loads with the variables that it says to set, compiles, and has a README.
func TestConfigurationsLoad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*/walpost.hcl")
	if err != nil || len(files) != 6 {
		t.Fatalf("configurations: %v %v", files, err)
	}
	for _, file := range files {
		example := filepath.Dir(file)
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			if _, diags := route.Compile(load(t, example)); len(diags) > 0 {
				t.Error(diags)
			}
			readme := read(t, filepath.Join(example, "README.md"))
			for name := range environments[example] {
				if !strings.Contains(readme, name+"=") {
					t.Errorf("the README doesn't say to set %s", name)
				}
			}
		})
	}
}

func TestQuickstartIsShort(t *testing.T) {
	t.Parallel()
	if lines := strings.Count(read(t, "quickstart/walpost.hcl"), "\n"); lines != 10 {
		t.Errorf("quickstart/walpost.hcl has %d lines, and is called ten lines of HCL", lines)
	}
}

// deliveries runs an example's SQL and gives what its configuration makes of the outbox rows, as "topic webhook body".
func deliveries(t *testing.T, example string) []string {
	t.Helper()
	db := pgtest.New(t)
	db.Exec(t, read(t, example+"/outbox.sql"))
	db.Exec(t, read(t, example+"/insert.sql"))
	cfg := load(t, example)
	table, diags := route.Compile(cfg)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	parser, err := outbox.NewParser(cfg.Outbox.Table.Columns, cfg.Outbox.Table.Columns.Names())
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, name := range cfg.Outbox.Table.Columns.Names() {
		columns = append(columns, name+"::text")
	}
	rows, err := db.Conn(t).Query(t.Context(), "select "+strings.Join(columns, ", ")+" from "+cfg.Outbox.Table.Identifier())
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		values := make([][]byte, len(columns))
		for i, raw := range rows.RawValues() {
			values[i] = slices.Clone(raw)
		}
		row, err := parser.Parse(values)
		if err != nil {
			t.Fatal(err)
		}
		row.CommittedAt = time.Now()
		ds, problems := table.Route(&row)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for i := range ds {
			request, problem := table.Render(t.Context(), &ds[i])
			if problem != nil {
				t.Fatal(problem)
			}
			got = append(got, ds[i].Topic+" "+ds[i].Webhook+" "+string(request.Body))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestQuickstartDelivers(t *testing.T) {
	t.Parallel()
	got := deliveries(t, "quickstart")
	if len(got) != 1 || !strings.HasPrefix(got[0], `contact.tagged crm {"id":`) || !strings.Contains(got[0], `"tag"`) {
		t.Errorf("deliveries %q", got)
	}
}

func TestPollingDelivers(t *testing.T) {
	t.Parallel()
	got := deliveries(t, "polling")
	if len(got) != 1 || !strings.HasPrefix(got[0], `contact.tagged crm {"id":`) {
		t.Errorf("deliveries %q", got)
	}
}

// The table is the one that walpost init makes, whose statements find nothing left to do.
func TestPollingTable(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, read(t, "polling/outbox.sql"))
	cfg := load(t, "polling")
	options := daemon.PollOptions(cfg, zerolog.Nop())
	options.ConnString = db.URL
	if _, err := cdc.PollSetup(t.Context(), options); err != nil {
		t.Error(err)
	}
}

func TestDebeziumDelivers(t *testing.T) {
	t.Parallel()
	got := deliveries(t, "debezium-outbox")
	if len(got) != 1 || !strings.HasPrefix(got[0], `order.created fulfilment {"type":"order.created"`) || !strings.Contains(got[0], "49.90") {
		t.Errorf("deliveries %q", got)
	}
}

// The quickstart's table is the one that walpost makes.
func TestQuickstartTable(t *testing.T) {
	t.Parallel()
	shape := func(ddl string) (columns []string) {
		db := pgtest.New(t)
		db.Exec(t, ddl)
		rows, err := db.Conn(t).Query(t.Context(), `select concat_ws(' ', column_name, data_type, is_nullable, column_default)
			from information_schema.columns where table_name = 'outbox' order by ordinal_position`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var column string
			if err := rows.Scan(&column); err != nil {
				t.Fatal(err)
			}
			columns = append(columns, column)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return columns
	}
	ours, walposts := shape(read(t, "quickstart/outbox.sql")), shape(outbox.Table{}.DDL())
	if len(ours) == 0 || !slices.Equal(ours, walposts) {
		t.Errorf("quickstart/outbox.sql makes %q, walpost %q", ours, walposts)
	}
}

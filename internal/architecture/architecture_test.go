// Package architecture holds no code, only the test that the packages import what DESIGN allows them to.
package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/walpost/walpost/"

// allowed is, for each room, which other rooms it may know. Arrows point down only.
var allowed = map[string][]string{
	"outbox":             {},
	"cdc":                {"internal/failpoint", "internal/pglogin"},
	"sender":             {"internal/http1"},
	"config":             {"outbox"},
	"internal/route":     {"config", "outbox"},
	"internal/ledger":    {"outbox", "internal/failpoint", "internal/pglogin"},
	"internal/pglogin":   {},
	"internal/failpoint": {},
	"internal/http1":     {},
	"internal/pgembed":   {},
	"internal/pgtest":    {"internal/pgembed", "outbox"},
	"internal/admin":     {"internal/ledger"},
	"daemon":             {"cdc", "config", "outbox", "sender", "internal/failpoint", "internal/ledger", "internal/retention", "internal/route"},
	"internal/demo":      {"cdc", "config", "daemon", "outbox", "sender", "internal/ledger", "internal/pgembed", "internal/route"},
	"internal/retention": {"outbox", "internal/failpoint"},
	"internal/reconcile": {"config", "outbox", "internal/ledger", "internal/route"},
	"internal/ruletest":  {"config", "sender", "internal/route"},
	"internal/doctor":    {"cdc", "config", "outbox", "internal/ledger"},
	"internal/cli": {
		"cdc", "config", "daemon", "outbox", "sender", "internal/admin", "internal/demo", "internal/doctor", "internal/ledger",
		"internal/reconcile", "internal/route",
		"internal/ruletest",
	},
	"cmd/walpost": {"internal/cli"},
}

// foreign is, for each library that only some rooms may know, which rooms those are.
var foreign = map[string][]string{
	"github.com/jackc/pglogrepl":                 {"cdc", "daemon"},
	"github.com/hashicorp/go-retryablehttp":      {"sender"},
	"github.com/hashicorp/hcl/v2":                {"config", "internal/route", "internal/ruletest", "daemon", "internal/cli", "internal/faults"},
	"github.com/zclconf/go-cty/cty":              {"config", "internal/route"},
	"golang.org/x/oauth2":                        {"sender"},
	"github.com/spf13/cobra":                     {"internal/cli"},
	"github.com/fergusstrange/embedded-postgres": {"internal/pgembed"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	rooms := map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return rooms
		} else if err != nil {
			t.Fatal(err)
		}
		rooms[strings.TrimPrefix(p.ImportPath, module)] = p.Imports
	}
}

func TestRoomsKnowOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	rooms := list(t)
	for room, may := range allowed {
		imports, ok := rooms[room]
		if !ok {
			t.Errorf("room %s is gone: update this test and docs/ARCHITECTURE.md", room)
		}
		for _, path := range imports {
			if other, ours := strings.CutPrefix(path, module); ours && !slices.Contains(may, other) {
				t.Errorf("%s imports %s; it may import %v", room, other, may)
			}
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for room, imports := range list(t) {
		if strings.HasPrefix(room, "examples") || strings.HasPrefix(room, "bench") {
			continue
		}
		for _, path := range imports {
			for library, may := range foreign {
				if (path == library || strings.HasPrefix(path, library+"/")) && !slices.Contains(may, room) {
					t.Errorf("%s imports %s, which only %v may", room, path, may)
				}
			}
		}
	}
}

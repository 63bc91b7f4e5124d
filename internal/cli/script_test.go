//go:build unix

package cli_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/walpost/walpost/internal/cli"
	"github.com/walpost/walpost/internal/pgtest"
)

// TestMain makes the test binary be walpost where a script calls it by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "walpost" {
		pgtest.Main(m)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(cli.Main(cli.Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Signals: signals,
	}))
}

// TestScripts runs each script with a database of its own. Golden texts are renewed by
//
//	UPDATE=1 go test ./internal/cli
func TestScripts(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "walpost")); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			s := &stage{t: env.T().(testing.TB), receivers: map[string]*receiver{}}
			env.Values[stageKey{}] = s
			s.use(pgtest.New(s.t), env.Setenv)
			env.Defer(s.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"expand":   cmdExpand,
			"sql":      cmdSQL,
			"role":     cmdRole,
			"url":      cmdURL,
			"code":     cmdCode,
			"server":   cmdServer,
			"receiver": cmdReceiver,
			"receive":  cmdReceive,
			"walpost":  cmdWalpost,
			"api":      cmdAPI,
			"silence":  cmdSilence,
			"tidy":     cmdTidy,
		},
	})
}

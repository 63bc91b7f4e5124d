package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the release's version, set by the linker:
//
//	go build -ldflags "-X github.com/walpost/walpost/internal/cli.version=1.2.3" ./cmd/walpost
//
// Without it, the version is what the Go toolchain knows of the module.
var version string

// buildVersion is the version to show, and to send in the User-Agent.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "(devel)" {
		return cmp.Or(info.Main.Version, "dev")
	}
	return "dev"
}

func (a *app) versionCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  walpost version
  walpost version -o json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			document := struct {
				Format   int    `json:"format"`
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{1, buildVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return out.write(a.Stdout, document, func() string {
				return fmt.Sprintf("walpost %s (%s, %s)\n", document.Version, document.Go, document.Platform)
			})
		},
	}
	out.addTo(cmd)
	return cmd
}

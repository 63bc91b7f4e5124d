package cli

import (
	"slices"
	"strings"
)

// goStyle are the flags that people who come from go and terraform write with one dash. As pflag reads them, -check
// would be -c heck.
var goStyle = []string{"-check", "-diff", "-json", "-junit", "-run"}

// doubleDashes gives those flags the second dash, up to a "--".
func doubleDashes(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(arg, "=")
		if slices.Contains(goStyle, name) {
			args[i] = "-" + arg
		}
	}
	return args
}

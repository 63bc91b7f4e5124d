package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// output is how a command shows what it found: text for people, or JSON of a stable, numbered format.
type output string

const (
	outputText output = "text"
	outputJSON output = "json"
)

// addTo adds the flag -o to a command that lists.
func (o *output) addTo(cmd *cobra.Command) {
	*o = outputText
	cmd.Flags().VarP(o, "output", "o", "`FORMAT`: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", // only fails for a flag that isn't there
		cobra.FixedCompletions([]string{string(outputText), string(outputJSON)}, cobra.ShellCompDirectiveNoFileComp))
}

// Set implements pflag.Value.
func (o *output) Set(s string) error {
	if s != string(outputText) && s != string(outputJSON) {
		return fmt.Errorf("it is %q or %q", outputText, outputJSON)
	}
	*o = output(s)
	return nil
}

// String implements pflag.Value.
func (o *output) String() string { return string(*o) }

// Type implements pflag.Value.
func (o *output) Type() string { return "FORMAT" }

// write shows the document as JSON, or as the text that is made of it.
func (o *output) write(w io.Writer, document any, text func() string) error {
	if *o == outputJSON {
		return writeJSON(w, document)
	}
	_, err := io.WriteString(w, text())
	return err
}

func writeJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

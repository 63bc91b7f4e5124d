package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/spf13/cobra"
)

func (a *app) replCommand() *cobra.Command {
	r := &repl{app: a}
	var event, payload, topic string
	cmd := &cobra.Command{
		Use:   "repl",
		Short: "Try expressions on a real row",
		Long: `Evaluate expressions as a webhook of the configuration would: on a row of the outbox
table, on a payload of yours, or on a sample of a topic. Prints values as JSON. On a
terminal with line editing, completion (Tab) and a history that ends with the session;
standard input may also be a file or pipe, with an expression in each line. Nothing is
sent. :help lists the commands.`,
		Example: `  walpost repl
  walpost repl --event 0b7e6d5c-8d0c-4f4e-9f6a-3f1c2b4a5d6e
  echo 'lower(event.data.contact.email)' | walpost repl --topic contact.tagged`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context(), event, payload, topic) },
	}
	cmd.Flags().StringVar(&event, "event", "", "the row with this `ID`")
	cmd.Flags().StringVar(&payload, "payload", "", "a row with the payload in this `FILE`")
	cmd.Flags().StringVar(&topic, "topic", "", "a sample of this `TOPIC`, or with --payload a row that gives it")
	return cmd
}

// repl is one run of walpost repl.
type repl struct {
	*app
	evaluator
	out    io.Writer // for answers
	errs   io.Writer // for complaints; on a terminal the same
	failed bool      // a line could not be evaluated
}

func (r *repl) run(ctx context.Context, event, payload, topic string) error {
	if event != "" && payload+topic != "" {
		return usage("walpost repl --event "+event, "--event is a row with a payload and topics of its own: leave --payload and --topic out")
	}
	if payload == stdinName {
		return usage("walpost repl --payload FILE", "standard input has the expressions, so the payload must be in a file")
	}
	if err := r.open(r.app); err != nil {
		return err
	}
	defer r.close()
	var err error
	if event != "" {
		err = r.useEvent(ctx, event)
	} else {
		err = r.useSample(topic, payload)
	}
	if err != nil {
		return err
	}
	lines, err := r.lines()
	if err != nil {
		return err
	}
	defer lines.close()
	r.out, r.errs = lines.out, lines.errs
	if lines.interactive {
		r.say("%s\nType an expression, or :help.\n", r.about())
	}
	if err := r.loop(ctx, lines); err != nil {
		return err
	}
	if r.failed && !lines.interactive {
		return &failure{code: exitFailure}
	}
	return nil
}

func (r *repl) say(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

// loop reads and answers until the end of the input.
func (r *repl) loop(ctx context.Context, lines *lineReader) error {
	input := ""
	for {
		line, err := lines.next(input != "")
		if errors.Is(err, io.EOF) && strings.TrimSpace(input) == "" {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read an expression: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		input += line + "\n"
		if err == nil && strings.TrimSpace(line) != "" && open(input) {
			continue // as long as a bracket is open, but an empty line ends it
		}
		text := strings.TrimSpace(input)
		input = ""
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
		case text == ":quit" || text == ":q" || text == "exit":
			return nil
		case strings.HasPrefix(text, ":"):
			r.command(ctx, text)
		default:
			r.answer(ctx, text)
		}
	}
}

// open reports whether a bracket, quote or heredoc of the text waits for its end.
func open(text string) bool {
	depth := 0
	tokens, _ := hclsyntax.LexExpression([]byte(text), "", hcl.InitialPos) // what is wrong shows when it is evaluated
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOHeredoc,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCHeredoc,
			hclsyntax.TokenTemplateSeqEnd:
			depth--
		}
	}
	return depth > 0
}

// answer evaluates an expression.
func (r *repl) answer(ctx context.Context, text string) {
	value, err := r.evaluate(ctx, text, r.errs, r.colors())
	if err != nil {
		r.complain(err)
		return
	}
	r.say("%s\n", printable(value))
}

// complain says why a line can't be answered. The session goes on.
func (r *repl) complain(err error) {
	r.failed = true
	if f := explain(err); f.problem != "" {
		fmt.Fprintf(r.errs, "Error: %s\n", indent(redact(f.problem), 7))
		if f.fix != "" {
			fmt.Fprintf(r.errs, "Try: %s\n", indent(redact(f.fix), 5))
		}
	}
}

const replHelp = `An expression sees what those of a webhook see: event, local (the top-level ones) and
all functions. An event has id, topic, aggregate_type, aggregate_id, type, payload, data,
headers, created_at, committed_at and lsn.

  :event          show the event
  :event ID       take the row with this id, of the outbox table or the ledger
  :sample TOPIC   take the sample of a topic
  :load FILE      take the payload in a file, a JSON object
  :topic          list the topics of the event; its data may differ between them
  :topic TOPIC    look at the event as it comes with this topic
  :quit           leave; so does Ctrl-D
`

// command carries out a line that begins with a colon.
func (r *repl) command(ctx context.Context, line string) {
	name, argument, _ := strings.Cut(line, " ")
	argument = strings.TrimSpace(argument)
	var err error
	switch {
	case name == ":help":
		r.say("%s", replHelp)
		return
	case name == ":event" && argument == "":
		r.answer(ctx, "event")
		return
	case name == ":topic" && argument == "":
		r.say("%s\n", strings.Join(r.topics(), "\n"))
		return
	case name == ":event":
		err = r.useEvent(ctx, argument)
	case name == ":sample" && argument != "":
		err = r.useSample(argument, "")
	case name == ":load" && argument != "":
		err = r.useSample(r.topic, argument)
	case name == ":topic":
		err = r.useTopic(argument)
	default:
		names := []string{":help", ":event", ":sample", ":load", ":topic", ":quit"}
		err = usage(":help", "%s is no command, or lacks its argument.%s", name, didYouMean(name, names))
	}
	if err != nil {
		r.complain(err)
		return
	}
	r.say("%s\n", r.about())
}

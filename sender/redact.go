package sender

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

const maxErrorText = 300

// redacted is an error whose text may go to logs and to the ledger. The text is made once, from an error that is not
// kept: an [*url.Error] in the chain would give the whole URL to whoever asks for it.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }

func (e *redacted) Unwrap() error { return e.err }

// redact takes the URL, its query and user info out of err. What is left are the errors below net/http, which know no more
// than host names and addresses; a foreign answer quoted in them is cut short.
func redact(err error) error {
	for {
		var outer *url.Error
		if !errors.As(err, &outer) {
			break
		}
		err = outer.Err
	}
	return &redacted{text: shorten(err.Error()), err: err}
}

// shorten makes a foreign text fit for one line of a log.
func shorten(text string) string {
	text = strings.Map(printable, text)
	if len(text) <= maxErrorText {
		return text
	}
	cut := maxErrorText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

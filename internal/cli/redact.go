package cli

import (
	"io"
	"regexp"
)

// redactor is a writer that takes passwords out of connection strings, as the last fence: no message is meant to
// have one, but libraries quote what they can't parse. Each Write must be a whole message.
type redactor struct{ to io.Writer }

// Passwords in a connection string: as a URL's userinfo, and as a parameter of either form. A malformed URL may
// have any character in its password, so everything up to the last @ of the word counts.
var (
	urlPassword   = regexp.MustCompile(`(?i)(postgres(?:ql)?://[^:/@\s]*:)\S*@`)
	passwordParam = regexp.MustCompile(`(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'"` + "`" + `]+)`)
)

func redact(s string) string {
	s = urlPassword.ReplaceAllString(s, "${1}(secret)@")
	return passwordParam.ReplaceAllString(s, "${1}(secret)")
}

// Write implements io.Writer.
func (r *redactor) Write(p []byte) (int, error) {
	if _, err := io.WriteString(r.to, redact(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// print writes to where errors go, which has nowhere to report its own.
func (r *redactor) print(s string) { _, _ = r.Write([]byte(s)) }

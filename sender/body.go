package sender

import (
	"io"
	"net/http"
	"sync"
	"unicode/utf8"
)

const (
	// MaxBody is how many bytes of a response body are read; the connection of a longer one is closed.
	MaxBody = 64 << 10
	// MaxExcerpt is how many bytes of a response body are kept.
	MaxExcerpt = 1 << 10
)

var excerptBuffers = sync.Pool{New: func() any { return new([MaxExcerpt]byte) }}

// readExcerpt reads a response body to its end, so that the connection can be used again, or as far as MaxBody and the
// request's deadline allow. It returns the beginning. What goes wrong here is of no consequence.
func readExcerpt(resp *http.Response) []byte {
	defer func() { _ = resp.Body.Close() }()
	if !hasBody(resp) {
		return nil
	}
	buf := excerptBuffers.Get().(*[MaxExcerpt]byte)
	defer excerptBuffers.Put(buf)
	n, err := io.ReadFull(resp.Body, buf[:])
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, MaxBody-MaxExcerpt+1)) // 1: to see the end
	}
	if !isPlain(resp) {
		return nil
	}
	return excerpt(buf[:n])
}

// readBody is readExcerpt for what is to be judged. The error says that the body is not whole though it isn't too long.
func readBody(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	if !hasBody(resp) {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if !isPlain(resp) {
		return nil, err
	}
	return body[:min(len(body), MaxBody)], err
}

func hasBody(resp *http.Response) bool {
	return resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols
}

// isPlain says whether the body can be text: one that is compressed was not asked for.
func isPlain(resp *http.Response) bool {
	coding := resp.Header.Get("Content-Encoding")
	return coding == "" || coding == "identity"
}

// excerpt copies b as valid UTF-8 without NUL, which PostgreSQL's text cannot hold. The copy is at most as long as the
// limit: what replaces a bad byte is longer than it.
func excerpt(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(b) {
			break // cut off in the middle of a character
		}
		b = b[size:]
		if r == 0 {
			r = utf8.RuneError
		}
		if len(out)+utf8.RuneLen(r) > MaxExcerpt {
			break
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

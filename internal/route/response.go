package route

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// appendResponse appends `response` as JSON text: the status, a number; the headers
// with names in lower case and the first value of each; the body as JSON, null if it is
// none; and as text.
func appendResponse(dst []byte, r Response) []byte {
	dst = append(dst, `{"status":`...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, `,"headers":`...)
	dst = appendHeaders(dst, r.Header)
	dst = append(dst, `,"json":`...)
	if json.Valid(r.Body) {
		dst = append(dst, r.Body...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"body":`...)
	dst = appendString(dst, string(r.Body))
	return append(dst, '}')
}

func appendHeaders(dst []byte, header http.Header) []byte {
	dst = append(dst, '{')
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if len(header[name]) == 0 {
			continue
		}
		dst = appendComma(dst)
		dst = append(appendString(dst, strings.ToLower(name)), ':')
		dst = appendString(dst, header[name][0])
	}
	return append(dst, '}')
}

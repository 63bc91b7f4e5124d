package vendormock

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Request is a request to a vendor, as it was rendered or has arrived.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header
	Body   []byte

	// Operation and Params, what stands in the URL for its placeholders, are set once the request is matched.
	Operation *Operation
	Params    map[string]string
	// JSON is the body, parsed with its numbers as json.Number; nil if there is none.
	JSON any
	// Answered is the status that it got.
	Answered int
}

// Refusal is why a vendor would not take a request, with the status of its answer.
type Refusal struct {
	Status int
	Reason string

	foreseen bool // the test has brought it about: no error
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.Reason) }

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Reason: fmt.Sprintf(format, args...)}
}

// Check matches a request with an operation and checks everything but its authentication: scheme and host, path, method,
// query, content type and body. It fills in Operation, Params and JSON.
func (s *Spec) Check(r *Request) *Refusal {
	if refusal := s.match(r); refusal != nil {
		return refusal
	}
	if origin := r.URL.Scheme + "://" + r.URL.Host; !r.Operation.url.origin.MatchString(origin) {
		return refuse(http.StatusMisdirectedRequest, "%s is not at %s", r.Operation.ID, origin)
	}
	return r.check()
}

// match finds the operation.
func (s *Spec) match(r *Request) *Refusal {
	status := http.StatusNotFound
	for _, o := range s.Operations {
		params, ok := o.url.params(r.URL)
		switch {
		case !ok:
		case !slices.Contains(o.Methods, r.Method) && !slices.Contains(o.Methods, "any"):
			status = http.StatusMethodNotAllowed
		case r.Operation != nil && !moreSpecific(o, r.Operation):
		default:
			r.Operation, r.Params = o, params
		}
	}
	if r.Operation == nil {
		return refuse(status, "%s has no operation %s %s", s.Vendor, r.Method, r.URL.Path)
	}
	return nil
}

// moreSpecific: /contacts/batch/upsert rather than /contacts/{a}/{b}.
func moreSpecific(a, b *Operation) bool { return len(a.url.names) < len(b.url.names) }

// check checks what does not depend on the host.
func (r *Request) check() *Refusal {
	o := r.Operation
	if problem := o.url.query(r.URL.Query()); problem != "" {
		return refuse(http.StatusBadRequest, "%s: %s", o.ID, problem)
	}
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if o.contentType != "" && (err != nil || got != o.contentType) {
		return refuse(http.StatusUnsupportedMediaType, "%s: the content type is %q, not %s", o.ID, got, o.contentType)
	}
	if o.form != nil {
		return r.checkForm()
	}
	if got == "application/json" && (len(r.Body) > 0 || o.schema != nil) {
		if r.JSON, err = jsonschema.UnmarshalJSON(bytes.NewReader(r.Body)); err != nil {
			return refuse(http.StatusBadRequest, "%s: the body is not JSON: %v", o.ID, err)
		}
	}
	if o.schema == nil {
		return nil
	}
	if err := o.schema.Validate(r.JSON); err != nil {
		return refuse(http.StatusBadRequest, "%s: the body %s: %v", o.ID, r.Body, err)
	}
	return nil
}

// checkForm checks that the form has the fields that it must have, and no others.
func (r *Request) checkForm() *Refusal {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return refuse(http.StatusBadRequest, "%s: the body is not a form: %v", r.Operation.ID, err)
	}
	for name, value := range r.Operation.form {
		switch got := form.Get(name); {
		case got == "":
			return refuse(http.StatusBadRequest, "%s: the form has no %s", r.Operation.ID, name)
		case !strings.HasPrefix(value, "{") && got != value:
			return refuse(http.StatusBadRequest, "%s: %s is not %s", r.Operation.ID, name, value)
		}
	}
	for name := range form {
		if _, known := r.Operation.form[name]; !known {
			return refuse(http.StatusBadRequest, "%s: the form can't have %s", r.Operation.ID, name)
		}
	}
	return nil
}

// field reads a member of nested JSON objects; nil if it is not there.
func field(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// text is field as a string; "" if it is none.
func text(value any, path ...string) string {
	s, _ := field(value, path...).(string)
	return s
}

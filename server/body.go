package server

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"
)

// body is a request's fields after they were held against the table of limits. Reading
// a field that the table does not have is our own mistake and panics.
type body struct {
	in     Body
	values []member // of known fields, never null
}

// readBody decodes and checks a request's body. Unknown fields are refused in strict
// mode and named in the X-Ingot-Warning header otherwise.
func (s *Server) readBody(ctx *fasthttp.RequestCtx, in Body) (*body, *Error) {
	if err := checkEncoding(ctx); err != nil {
		return nil, err
	}
	// The values point into the body, and fasthttp reuses its buffer.
	text := append([]byte(nil), ctx.PostBody()...)
	b, unknown, err := parseBody(text, in)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		if s.cfg.Strict {
			return nil, invalid(unknown[0], "unknown_parameter", "there is no field %q here", unknown[0])
		}
		ctx.Response.Header.Set("X-Ingot-Warning", "unknown fields were not used: "+strings.Join(unknown, ", "))
	}
	return b, nil
}

// checkEncoding refuses compressed bodies: a small one can hide a huge one.
func checkEncoding(ctx *fasthttp.RequestCtx) *Error {
	for _, coding := range ctx.Request.Header.PeekAll(fasthttp.HeaderContentEncoding) {
		if len(coding) > 0 && !bytes.EqualFold(coding, []byte("identity")) {
			return &Error{Status: fasthttp.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_content_encoding",
				Message: fmt.Sprintf("the Content-Encoding %s is not supported: send the body as it is", clip(coding))}
		}
	}
	return nil
}

// parseBody returns the checked fields and the names of the unknown ones, cut to what
// a header can carry.
func parseBody(text []byte, in Body) (*body, []string, *Error) {
	members, bad := scanObject(text)
	if bad != nil {
		return nil, nil, invalid(bad.path, "invalid_json", "%s", bad.Error())
	}
	b := &body{in: in, values: members[:0]}
	var unknown []string
	for _, m := range members {
		f, known := lookup(in, m.name)
		if !known {
			unknown = appendUnknown(unknown, m.name)
			continue
		}
		if m.value[0] == 'n' {
			continue
		}
		if err := f.check(m.value); err != nil {
			return nil, nil, err
		}
		b.values = append(b.values, m)
	}
	return b, unknown, b.checkRequired()
}

// appendUnknown keeps the first few names, made safe for a header.
func appendUnknown(names []string, name string) []string {
	const few = 16
	if len(names) == few {
		return names
	}
	safe := func(r rune) rune {
		if r <= ' ' || r > '~' || r == ',' {
			return '_'
		}
		return r
	}
	return append(names, strings.Map(safe, clip([]byte(name))))
}

func (b *body) checkRequired() *Error {
	for i := range fields {
		f := &fields[i]
		if f.Required && f.In&b.in != 0 && !b.has(f.Name) {
			return invalid(f.Name, "missing_required_parameter", "%s is required", f.Name)
		}
	}
	return nil
}

// has tells whether the request gives a field; null does not.
func (b *body) has(name string) bool {
	if b.value(name) != nil {
		return true
	}
	b.field(name) // there must be one
	return false
}

// value returns the JSON that the request gives for a field, or nil.
func (b *body) value(name string) []byte {
	for i := range b.values {
		if b.values[i].name == name {
			return b.values[i].value
		}
	}
	return nil
}

func (b *body) field(name string) *Field {
	f, ok := lookup(b.in, name)
	if !ok {
		panic(fmt.Sprintf("BUG: %s has no field %q", bodyNames[b.in], name))
	}
	return f
}

// raw returns a field's JSON, or its default's, or nil.
func (b *body) raw(name string) []byte {
	if v := b.value(name); v != nil {
		return v
	}
	if d := b.field(name).standard; len(d) > 0 {
		return d
	}
	return nil
}

// integer, number, boolean and text return a field's value, its default, or zero.
func (b *body) integer(name string) int64 {
	v := b.raw(name)
	if v == nil {
		return 0
	}
	i, _ := parseInt(v)
	return i
}

func (b *body) number(name string) float64 {
	v := b.raw(name)
	if v == nil {
		return 0
	}
	return mustFloat(v)
}

func (b *body) boolean(name string) bool {
	v := b.raw(name)
	return v != nil && v[0] == 't'
}

func (b *body) text(name string) string {
	v := b.raw(name)
	if v == nil {
		return ""
	}
	return unquote(v)
}

// texts returns a Strings field.
func (b *body) texts(name string) []string {
	v := b.raw(name)
	if v == nil {
		return nil
	}
	if v[0] == '"' {
		return []string{unquote(v)}
	}
	return unquoteAll(v)
}

func unquoteAll(array []byte) []string {
	items := scanElements(array)
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = unquote(item)
	}
	return out
}

// ids returns a Tokens field.
func (b *body) ids(name string) []int32 {
	v := b.raw(name)
	if v == nil {
		return nil
	}
	return parseIDs(v)
}

func parseIDs(array []byte) []int32 {
	items := scanElements(array)
	out := make([]int32, len(items))
	for i, item := range items {
		id, _ := parseInt(item)
		out[i] = int32(id)
	}
	return out
}

package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v), which is what printing writes.
func (r *render) str(v Value) Value {
	switch v.kind {
	case KindString:
		return v
	case KindUndefined:
		return Trusted("")
	}
	return r.repr(v)
}

// repr is Python's repr(v). The text is trusted if no string in v comes from the context.
func (r *render) repr(v Value) Value {
	w := printer{r: r, trusted: true}
	w.write(v)
	r.alloc(len(w.b))
	if !w.trusted {
		return Text(string(w.b))
	}
	return Trusted(string(w.b))
}

// printer writes values into b and notes whether all strings among them are trusted.
type printer struct {
	r       *render
	b       []byte
	trusted bool
}

func (w *printer) note(v Value) {
	w.trusted = w.trusted && v.trusted()
	w.r.scan(len(v.s))
	w.limit()
}

func (w *printer) limit() {
	if len(w.b) > w.r.lim.Output {
		w.r.overrun("output bytes", int64(w.r.lim.Output))
	}
}

func (w *printer) write(v Value) {
	w.r.step(1)
	switch v.kind {
	case KindUndefined:
		w.b = append(w.b, "Undefined"...)
	case KindNone:
		w.b = append(w.b, "None"...)
	case KindBool:
		w.b = append(w.b, boolName(v)...)
	case KindInt:
		w.b = appendInteger(w.b, v)
	case KindFloat:
		w.b = appendFloat(w.b, v.float())
	case KindString:
		w.note(v)
		w.b = appendQuoted(w.b, v.s)
	case KindList:
		w.items("[", v.list().items, "]")
	case KindTuple:
		end := ")"
		if len(v.list().items) == 1 {
			end = ",)"
		}
		w.items("(", v.list().items, end)
	case KindDict, KindNamespace:
		w.dict(v)
	default:
		w.b = append(w.b, "<"+v.typeName()+">"...)
	}
}

func boolName(v Value) string {
	if v.n != 0 {
		return "True"
	}
	return "False"
}

func (w *printer) items(open string, items []Value, end string) {
	w.r.enter()
	w.b = append(w.b, open...)
	for i, item := range items {
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		w.write(item)
		w.limit()
	}
	w.b = append(w.b, end...)
	w.r.leave()
}

func (w *printer) dict(v Value) {
	d, open, end := v.dict(), "{", "}"
	if v.kind == KindNamespace {
		open, end = "<Namespace {", "}>"
	}
	w.r.enter()
	w.b = append(w.b, open...)
	for i, k := range d.keys {
		if i > 0 {
			w.b = append(w.b, ", "...)
		}
		w.write(k)
		w.b = append(w.b, ": "...)
		w.write(d.vals[i])
		w.limit()
	}
	w.b = append(w.b, end...)
	w.r.leave()
}

func appendInteger(b []byte, v Value) []byte {
	if big, ok := v.ref.(*big.Int); ok {
		return big.Append(b, 10)
	}
	return strconv.AppendInt(b, v.n, 10)
}

// appendFloat writes Python's repr of a float: the shortest digits that round-trip, with an
// exponent below 1e-4 and from 1e16 on.
func appendFloat(b []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case abs != 0 && (abs < 1e-4 || abs >= 1e16):
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	n := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if strings.IndexByte(string(b[n:]), '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// appendQuoted writes Python's repr of a string: double quotes only where the text has single
// quotes and no double ones.
func appendQuoted(b []byte, s string) []byte {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	b = append(b, quote)
	for _, c := range s {
		switch {
		case c == rune(quote) || c == '\\':
			b = append(b, '\\', byte(c))
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case unicode.IsPrint(c):
			b = append(b, string(c)...)
		case c < 0x100:
			b = fmt.Appendf(b, `\x%02x`, c)
		case c < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = fmt.Appendf(b, `\U%08x`, c)
		}
	}
	return append(b, quote)
}

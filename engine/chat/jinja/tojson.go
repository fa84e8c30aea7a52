package jinja

import (
	"math"
	"sort"
	"strings"
	"unicode/utf8"
)

// jsonStyle holds the arguments of Python's json.dumps.
type jsonStyle struct {
	ascii      bool   // ensure_ascii
	indent     string // of one level
	lines      bool   // whether indent was given
	item, pair string // separators
	sort       bool
}

// filterToJSON is tojson as transformers defines it: json.dumps, with ensure_ascii off and
// without jinja2's escaping for HTML.
func filterToJSON(r *render, v Value, a *args) Value {
	b := a.bind(r, "tojson", "ensure_ascii", "indent", "separators", "sort_keys")
	style := jsonStyle{item: ", ", pair: ": ", ascii: b[0].truth(), sort: b[3].truth()}
	if b[1].kind != KindNone && !b[1].isMissing() {
		style.lines, style.item = true, ","
		if b[1].kind == KindString {
			style.indent = b[1].s
		} else {
			style.indent = r.spaces(r.intArg(b[1]))
		}
	}
	if items := b[2].Items(); len(items) == 2 {
		style.item, style.pair = r.strArg(items[0]), r.strArg(items[1])
	}
	return r.dumps(v, &style)
}

// spaces is a run of n spaces; n must be sane for an indentation.
func (r *render) spaces(n int) string {
	if n > r.lim.Output {
		r.overrun("output bytes", int64(r.lim.Output))
	}
	r.alloc(max(n, 0))
	return strings.Repeat(" ", max(n, 0))
}

func (r *render) dumps(v Value, style *jsonStyle) Value {
	t := r.takeText()
	w := printer{r: r, b: t.b, trusted: true}
	w.json(v, style, 0)
	r.alloc(len(w.b))
	t.b = w.b
	s := r.keepText(t.b)
	r.spare = append(r.spare, t)
	if !w.trusted {
		return Text(s)
	}
	return Trusted(s)
}

func (w *printer) json(v Value, style *jsonStyle, level int) {
	w.r.step(1)
	switch v.kind {
	case KindString:
		w.note(v)
		w.b = appendJSONString(w.b, v.s, style.ascii)
	case KindList, KindTuple:
		w.jsonList(v.list().items, style, level)
	case KindDict:
		w.jsonDict(v.dict(), style, level)
	case KindUndefined, KindNamespace, KindObject:
		w.r.fail("Object of type %s is not JSON serializable", v.typeName())
	default:
		w.b = appendJSONScalar(w.b, v)
	}
}

func appendJSONScalar(b []byte, v Value) []byte {
	switch v.kind {
	case KindNone:
		return append(b, "null"...)
	case KindBool:
		return append(b, strings.ToLower(boolName(v))...)
	case KindInt:
		return appendInteger(b, v)
	}
	switch f := v.float(); {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	default:
		return appendFloat(b, f)
	}
}

func (w *printer) newline(style *jsonStyle, level int) {
	if !style.lines {
		return
	}
	w.b = append(w.b, '\n')
	for range level {
		w.b = append(w.b, style.indent...)
	}
	w.limit()
}

func (w *printer) jsonList(items []Value, style *jsonStyle, level int) {
	if len(items) == 0 {
		w.b = append(w.b, "[]"...)
		return
	}
	w.r.enter()
	w.b = append(w.b, '[')
	for i, item := range items {
		if i > 0 {
			w.b = append(w.b, style.item...)
		}
		w.newline(style, level+1)
		w.json(item, style, level+1)
		w.limit()
	}
	w.newline(style, level)
	w.b = append(w.b, ']')
	w.r.leave()
}

func (w *printer) jsonDict(d *Dict, style *jsonStyle, level int) {
	if d.Len() == 0 {
		w.b = append(w.b, "{}"...)
		return
	}
	w.r.enter()
	w.b = append(w.b, '{')
	var order []int
	if style.sort {
		order = w.dictOrder(d)
	}
	for i := range d.Len() {
		at := i
		if order != nil {
			at = order[i]
		}
		if i > 0 {
			w.b = append(w.b, style.item...)
		}
		w.newline(style, level+1)
		w.jsonKey(d.keys[at], style)
		w.b = append(w.b, style.pair...)
		w.json(d.vals[at], style, level+1)
		w.limit()
	}
	w.newline(style, level)
	w.b = append(w.b, '}')
	w.r.leave()
}

// dictOrder returns the order of the keys of d.
func (w *printer) dictOrder(d *Dict) []int {
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		return w.r.compareOp("<", d.keys[order[i]], d.keys[order[j]])
	})
	return order
}

func (w *printer) jsonKey(k Value, style *jsonStyle) {
	switch k.kind {
	case KindString:
		w.note(k)
		w.b = appendJSONString(w.b, k.s, style.ascii)
	case KindNone, KindBool, KindInt, KindFloat:
		w.b = append(w.b, '"')
		w.b = appendJSONScalar(w.b, k)
		w.b = append(w.b, '"')
	default:
		w.r.fail("keys must be str, int, float, bool or None, not %s", k.typeName())
	}
}

const hexDigits = "0123456789abcdef"

// appendJSONString writes s as json.dumps does, with ascii escaping all beyond ASCII.
func appendJSONString(b []byte, s string, ascii bool) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && (c < 0x7f || !ascii) {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		if c < 0x80 {
			b = appendJSONEscape(b, c)
			i++
		} else {
			r, size := utf8.DecodeRuneInString(s[i:])
			b = appendRuneEscape(b, r)
			i += size
		}
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func appendJSONEscape(b []byte, c byte) []byte {
	if i := strings.IndexByte("\"\\\n\r\t\f\b", c); i >= 0 {
		return append(b, '\\', `"\nrtfb`[i])
	}
	return appendUnit(b, rune(c))
}

// appendRuneEscape writes one rune as UTF-16 escapes.
func appendRuneEscape(b []byte, r rune) []byte {
	if r < 0x10000 {
		return appendUnit(b, r)
	}
	r -= 0x10000
	return appendUnit(appendUnit(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
}

func appendUnit(b []byte, u rune) []byte {
	return append(b, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

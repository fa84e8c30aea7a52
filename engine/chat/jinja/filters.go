package jinja

import (
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// filterFunc is a filter: v | name(a).
type filterFunc func(r *render, v Value, a *args) Value

var filters map[string]filterFunc

// The table refers to filters that look up the table, so it is filled here.
func init() {
	filters = map[string]filterFunc{
		"abs": filterAbs, "attr": filterAttr, "batch": filterBatch, "capitalize": textFilter("capitalize"),
		"count": filterLength, "d": filterDefault, "default": filterDefault, "dictsort": filterDictSort,
		"e": filterEscape, "escape": filterEscape, "first": filterFirst, "float": filterFloat,
		"format": filterFormat, "from_json": filterFromJSON, "groupby": filterGroupBy, "indent": filterIndent, "int": filterInt,
		"items": filterItems, "join": filterJoin, "last": filterLast, "length": filterLength,
		"list": filterList, "lower": textFilter("lower"), "map": filterMap, "max": filterMax,
		"min": filterMin, "reject": filterReject, "rejectattr": filterRejectAttr, "replace": filterReplace,
		"reverse": filterReverse, "round": filterRound, "safe": filterSafe, "select": filterSelect,
		"selectattr": filterSelectAttr, "sort": filterSort, "string": filterString, "sum": filterSum,
		"title": filterTitle, "tojson": filterToJSON, "trim": filterTrim, "truncate": filterTruncate,
		"unique": filterUnique, "upper": textFilter("upper"), "wordcount": filterWordCount,
	}
}

// textFilter applies a string method to the text of any value.
func textFilter(name string) filterFunc {
	return func(r *render, v Value, a *args) Value { return strMethods[name](r, r.str(v), a) }
}

func filterAbs(r *render, v Value, a *args) Value {
	switch {
	case v.kind == KindFloat:
		return Float(math.Abs(v.float()))
	case v.isInteger():
		return bigInt(new(big.Int).Abs(v.big()))
	}
	r.operandError("abs()", v, v)
	return Value{}
}

func filterAttr(r *render, v Value, a *args) Value {
	name := r.strArg(a.bind(r, "attr", "name")[0])
	fn := methodNamed(v.kind, name)
	if v.kind == KindDict && fn == nil { // a key is no attribute
		return Value{own: KindDict, n: 1, s: name}
	}
	return r.attr(v, name, fn)
}

func filterBatch(r *render, v Value, a *args) Value {
	b := a.bind(r, "batch", "linecount", "fill_with")
	n, items := r.intArg(b[0]), r.iterate(v)
	if n < 1 {
		r.fail("batch needs a positive line count, not %d", n)
	}
	r.allocList(2 * len(items))
	var out []Value
	for i := 0; i < len(items); i += n {
		row := append([]Value(nil), items[i:min(i+n, len(items))]...)
		if !b[1].isMissing() && b[1].kind != KindNone && len(row) < n {
			r.allocList(n)
			for len(row) < n {
				row = append(row, b[1])
			}
		}
		out = append(out, newList(row))
	}
	return newList(out)
}

func filterDefault(r *render, v Value, a *args) Value {
	b := a.bind(r, "default", "default_value", "boolean")
	if b[0].isMissing() {
		b[0] = Trusted("")
	}
	if v.isUndefined() || b[1].truth() && !v.truth() {
		return b[0]
	}
	return v
}

func filterDictSort(r *render, v Value, a *args) Value {
	b := a.bind(r, "dictsort", "case_sensitive", "by", "reverse")
	if v.isUndefined() {
		r.failUndefined(v)
	}
	if v.kind != KindDict {
		r.fail("'%s' object has no attribute 'items'", v.typeName())
	}
	at := 0
	if b[1].Str() == "value" {
		at = 1
	}
	pairs := r.pairs(v.dict())
	r.sortValues(pairs, b[0].truth(), b[2].truth(), func(p Value) Value { return p.list().items[at] })
	return newList(pairs)
}

// sortValues sorts items by key, strings without regard to case unless caseSensitive.
func (r *render) sortValues(items []Value, caseSensitive, reverse bool, key func(Value) Value) {
	type keyed struct{ key, v Value }
	rows := make([]keyed, len(items))
	for i, v := range items {
		k := key(v)
		if k.kind == KindString && !caseSensitive {
			k.s = strings.ToLower(k.s)
		}
		rows[i] = keyed{k, v}
	}
	sort.SliceStable(rows, func(i, j int) bool {
		if reverse {
			i, j = j, i
		}
		return r.compareOp("<", rows[i].key, rows[j].key)
	})
	for i := range rows {
		items[i] = rows[i].v
	}
}

func filterEscape(r *render, v Value, a *args) Value { return r.escape(v) }

func filterSafe(r *render, v Value, a *args) Value {
	v = r.str(v)
	v.flag |= flagMarkup
	return v
}

func filterString(r *render, v Value, a *args) Value { return r.str(v) }

var htmlEscapes = map[byte]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '\'': "&#39;", '"': "&#34;"}

// escape makes v safe for HTML unless it is so already.
func (r *render) escape(v Value) Value {
	v = r.str(v)
	if v.flag&flagMarkup == 0 && strings.ContainsAny(v.s, `&<>'"`) {
		t, from := r.takeText(), 0
		for i := 0; i < len(v.s); i++ {
			if e := htmlEscapes[v.s[i]]; e != "" {
				t.addSub(v, from, i)
				t.add(e, v.trusted())
				from = i + 1
			}
		}
		t.addSub(v, from, len(v.s))
		v = r.finish(t)
	}
	v.flag |= flagMarkup
	return v
}

func filterFirst(r *render, v Value, a *args) Value {
	if items := r.iterate(v); len(items) > 0 {
		return items[0]
	}
	return Value{s: "No first item, sequence was empty."}
}

func filterLast(r *render, v Value, a *args) Value {
	if items := r.iterate(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return Value{s: "No last item, sequence was empty."}
}

func filterFloat(r *render, v Value, a *args) Value {
	b := a.bind(r, "float", "default")
	switch {
	case v.isUndefined():
		r.failUndefined(v)
	case v.isNumber():
		return Float(v.number())
	case v.kind == KindString:
		if f, ok := parseFloat(v.s); ok {
			return Float(f)
		}
	}
	if b[0].isMissing() {
		return Float(0)
	}
	return b[0]
}

// parseFloat reads what Python's float() accepts.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

func filterInt(r *render, v Value, a *args) Value {
	b := a.bind(r, "int", "default", "base")
	switch {
	case v.isUndefined():
		r.failUndefined(v)
	case v.isInteger():
		return bigInt(v.big())
	case v.kind == KindString:
		if i, ok := r.parseInt(v.s, b[1]); ok {
			return i
		}
		if f, ok := parseFloat(v.s); ok {
			v = Float(f)
		}
	}
	if v.kind == KindFloat && !math.IsNaN(v.float()) && !math.IsInf(v.float(), 0) {
		i, _ := big.NewFloat(v.float()).Int(nil)
		return bigInt(i)
	}
	if b[0].isMissing() {
		return Int(0)
	}
	return b[0]
}

func (r *render) parseInt(s string, base Value) (Value, bool) {
	b := 10
	if !base.isMissing() {
		b = r.intArg(base)
	}
	s = strings.TrimFunc(s, isSpace)
	if len(s) > maxIntBits/3 || b < 0 || b == 1 || b > 36 {
		return Value{}, false
	}
	if p := map[int]string{16: "0x", 8: "0o", 2: "0b"}[b]; p != "" {
		s = strings.TrimPrefix(strings.ToLower(s), p)
	}
	i, ok := new(big.Int).SetString(s, b)
	if !ok {
		return Value{}, false
	}
	return bigInt(i), true
}

func filterFormat(r *render, v Value, a *args) Value {
	if len(a.kw) > 0 {
		d := NewDict(len(a.kw))
		for i, name := range a.names {
			d.set(Trusted(name), a.kw[i])
		}
		return r.percent(r.str(v), Value{kind: KindDict, ref: d})
	}
	return r.percent(r.str(v), newTuple(append([]Value(nil), a.pos...)))
}

func filterFromJSON(r *render, v Value, a *args) Value {
	s := r.strArg(v)
	r.alloc(len(s) / 2 * valueBytes) // the densest JSON has an element in two bytes
	out, err := fromJSON(s)
	if err != nil {
		r.fail("from_json: %v", err)
	}
	return out
}

func filterGroupBy(r *render, v Value, a *args) Value {
	b := a.bind(r, "groupby", "attribute", "default", "case_sensitive")
	key := func(v Value) Value { return r.path(v, b[0], b[1]) }
	items := append([]Value(nil), r.iterate(v)...)
	r.allocList(3 * len(items))
	r.sortValues(items, b[2].truth(), false, key)
	var out, group []Value
	for i, item := range items {
		group = append(group, item)
		if k := key(item); i+1 == len(items) || !r.equal(k, key(items[i+1])) {
			out = append(out, newTuple([]Value{k, newList(group)}))
			group = nil
		}
	}
	return newList(out)
}

func filterIndent(r *render, v Value, a *args) Value {
	b := a.bind(r, "indent", "width", "first", "blank")
	by := "    "
	if b[0].kind == KindString {
		by = b[0].s
	} else if !b[0].isMissing() {
		by = r.spaces(r.intArg(b[0]))
	}
	pad := Trusted(by)
	if b[0].kind == KindString {
		pad = b[0]
	}
	return r.indent(r.str(v), pad, b[1].truth(), b[2].truth())
}

// indent puts pad before each line of v, before empty lines only if blank is set.
func (r *render) indent(v, pad Value, first, blank bool) Value {
	t := r.takeText()
	s := v.s
	for from := 0; from <= len(s); {
		end := strings.IndexByte(s[from:], '\n')
		next := from + end + 1
		if end < 0 {
			end, next = len(s), len(s)+1
		} else {
			end += from
		}
		if from == 0 && first || from > 0 && (blank || end > from) {
			r.addPlain(t, pad)
		}
		t.addSub(v, from, min(next, len(s)))
		r.checkOutput(t)
		from = next
	}
	return r.finish(t)
}

// pairs returns the (key, value) tuples of d.
func (r *render) pairs(d *Dict) []Value {
	n := d.Len()
	r.allocList(4 * n)
	cells, lists, out := make([]Value, 2*n), make([]List, n), make([]Value, n)
	for i := range out {
		pair := cells[2*i : 2*i+2 : 2*i+2]
		pair[0], pair[1] = d.keys[i], d.vals[i]
		lists[i].items = pair
		out[i] = Value{kind: KindTuple, ref: &lists[i]}
	}
	return out
}

func filterItems(r *render, v Value, a *args) Value {
	switch v.kind {
	case KindUndefined:
		return newList(nil)
	case KindDict:
		return newList(r.pairs(v.dict()))
	}
	r.fail("Can only get item pairs from a mapping.")
	return Value{}
}

func filterJoin(r *render, v Value, a *args) Value {
	b := a.bind(r, "join", "d", "attribute")
	sep := Trusted("")
	if !b[0].isMissing() {
		sep = r.str(b[0])
	}
	t := r.takeText()
	for i, item := range r.iterate(v) {
		if !b[1].isMissing() && b[1].kind != KindNone {
			item = r.path(item, b[1], Value{flag: flagMissing})
		}
		if i > 0 {
			t.addString(sep)
		}
		r.step(1)
		r.addPlain(t, r.str(item))
	}
	return r.finish(t)
}

// path looks up a dotted attribute, in which numbers are indices, or an integer.
func (r *render) path(v, attribute, def Value) Value {
	if attribute.kind != KindString {
		return r.withDefault(r.index(v, attribute), def)
	}
	for _, name := range strings.Split(attribute.s, ".") {
		key := Trusted(name)
		if n, err := strconv.Atoi(name); err == nil {
			key = Int(int64(n))
		}
		v = r.withDefault(r.index(v, key), def)
	}
	return v
}

func (r *render) withDefault(v, def Value) Value {
	if v.isUndefined() && !def.isMissing() {
		return def
	}
	return v
}

func filterLength(r *render, v Value, a *args) Value { return Int(int64(r.length(v))) }

func filterList(r *render, v Value, a *args) Value {
	items := r.iterate(v)
	r.allocList(len(items))
	return newList(append([]Value(nil), items...))
}

func filterMap(r *render, v Value, a *args) Value {
	items := r.iterateTrue(v)
	r.allocList(len(items))
	out := make([]Value, 0, len(items))
	if len(a.pos) == 0 {
		b := a.bind(r, "map", "attribute", "default")
		for _, item := range items {
			out = append(out, r.path(item, b[0], b[1]))
		}
		return newList(out)
	}
	name := r.strArg(a.pos[0])
	fn := filters[name]
	if fn == nil {
		r.fail("No filter named '%s'.", name)
	}
	rest := args{pos: a.pos[1:], names: a.names, kw: a.kw}
	for _, item := range items {
		r.step(1)
		out = append(out, fn(r, item, &rest))
	}
	return newList(out)
}

// iterateTrue is iterate with nothing to visit in any false value, None included.
func (r *render) iterateTrue(v Value) []Value {
	if !v.truth() {
		return nil
	}
	return r.iterate(v)
}

func filterMax(r *render, v Value, a *args) Value { return r.extreme(v, a, 1) }
func filterMin(r *render, v Value, a *args) Value { return r.extreme(v, a, -1) }

func (r *render) extreme(v Value, a *args, sign int) Value {
	b := a.bind(r, "max", "case_sensitive", "attribute")
	key := r.sortKey(b[1], b[0].truth())
	items := r.iterate(v)
	if len(items) == 0 {
		return Value{s: "No aggregated item, sequence was empty."}
	}
	best := items[0]
	for _, item := range items[1:] {
		c, ok := r.order(key(item), key(best))
		if !ok {
			r.orderError("<", item, best)
		}
		if c == sign {
			best = item
		}
	}
	return best
}

// sortKey returns the function that gives the value an item is compared by.
func (r *render) sortKey(attribute Value, caseSensitive bool) func(Value) Value {
	return func(v Value) Value {
		if !attribute.isMissing() && attribute.kind != KindNone {
			v = r.path(v, attribute, Value{flag: flagMissing})
		}
		if v.kind == KindString && !caseSensitive {
			v.s = strings.ToLower(v.s)
		}
		return v
	}
}

func filterSelect(r *render, v Value, a *args) Value     { return r.selectItems(v, a, false, true) }
func filterReject(r *render, v Value, a *args) Value     { return r.selectItems(v, a, false, false) }
func filterSelectAttr(r *render, v Value, a *args) Value { return r.selectItems(v, a, true, true) }
func filterRejectAttr(r *render, v Value, a *args) Value { return r.selectItems(v, a, true, false) }

// selectItems keeps the items whose test, of an attribute if byAttr is set, gives want.
func (r *render) selectItems(v Value, a *args, byAttr, want bool) Value {
	rest, attribute := *a, Value{}
	if byAttr {
		if len(a.pos) == 0 {
			r.fail("Missing parameter for attribute name")
		}
		attribute, rest.pos = a.pos[0], a.pos[1:]
	}
	test := func(_ *render, v Value, _ *args) bool { return v.truth() }
	if len(rest.pos) > 0 {
		name := r.strArg(rest.pos[0])
		if test = tests[name]; test == nil {
			r.fail("No test named '%s'.", name)
		}
		rest.pos = rest.pos[1:]
	}
	var out []Value
	items := r.iterateTrue(v)
	r.allocList(len(items))
	for _, item := range items {
		r.step(1)
		subject := item
		if byAttr {
			subject = r.path(item, attribute, Value{flag: flagMissing})
		}
		if test(r, subject, &rest) == want {
			out = append(out, item)
		}
	}
	return newList(out)
}

func filterReplace(r *render, v Value, a *args) Value {
	b := a.bind(r, "replace", "old", "new", "count")
	count := -1
	if !b[2].isMissing() && b[2].kind != KindNone {
		count = r.intArg(b[2])
	}
	return r.replace(r.str(v), r.str(b[0]), r.str(b[1]), count)
}

func filterReverse(r *render, v Value, a *args) Value {
	items := r.iterate(v)
	r.allocList(len(items))
	out := make([]Value, len(items))
	for i, item := range items {
		out[len(items)-1-i] = item
	}
	if v.kind != KindString {
		return newList(out)
	}
	t := r.takeText()
	for _, c := range out {
		t.addString(c)
	}
	return r.finish(t)
}

func filterRound(r *render, v Value, a *args) Value {
	b := a.bind(r, "round", "precision", "method")
	if !v.isNumber() {
		r.operandError("round()", v, v)
	}
	precision := 0
	if !b[0].isMissing() {
		precision = r.intArg(b[0])
	}
	round := math.RoundToEven
	switch b[1].Str() {
	case "ceil":
		round = math.Ceil
	case "floor":
		round = math.Floor
	default:
		if v.isInteger() && precision >= 0 {
			return v // Python's round keeps integers
		}
		if precision >= 0 && precision < 20 {
			f, _ := strconv.ParseFloat(strconv.FormatFloat(v.number(), 'f', precision, 64), 64)
			return Float(f)
		}
	}
	scale := math.Pow10(precision)
	return Float(round(v.number()*scale) / scale)
}

func filterSort(r *render, v Value, a *args) Value {
	b := a.bind(r, "sort", "reverse", "case_sensitive", "attribute")
	items := r.iterate(v)
	r.allocList(3 * len(items))
	out := append([]Value(nil), items...)
	r.sortValues(out, true, b[0].truth(), r.sortKey(b[2], b[1].truth()))
	return newList(out)
}

func filterSum(r *render, v Value, a *args) Value {
	b := a.bind(r, "sum", "attribute", "start")
	sum := b[1]
	if sum.isMissing() {
		sum = Int(0)
	}
	for _, item := range r.iterate(v) {
		r.step(1)
		if !b[0].isMissing() && b[0].kind != KindNone {
			item = r.path(item, b[0], Value{flag: flagMissing})
		}
		sum = r.arith("+", sum, item)
	}
	return sum
}

// filterTitle, unlike str.title, begins words only after white space, hyphens and brackets.
func filterTitle(r *render, v Value, a *args) Value {
	return r.mapText(r.str(v), func(s string) string {
		start := true
		return strings.Map(func(c rune) rune {
			first := start
			if start = isSpace(c) || strings.ContainsRune("-({[<", c); first {
				return unicode.ToUpper(c)
			}
			return unicode.ToLower(c)
		}, s)
	})
}

func filterTrim(r *render, v Value, a *args) Value {
	b := a.bind(r, "trim", "chars")
	return r.strip(r.str(v), b[0], true, true)
}

func filterTruncate(r *render, v Value, a *args) Value {
	b := a.bind(r, "truncate", "length", "killwords", "end", "leeway")
	length, end, leeway := 255, Trusted("..."), 5
	if !b[0].isMissing() {
		length = r.intArg(b[0])
	}
	if !b[2].isMissing() {
		end = r.str(b[2])
	}
	if !b[3].isMissing() && b[3].kind != KindNone {
		leeway = r.intArg(b[3])
	}
	v = r.str(v)
	if r.length(v) <= length+leeway {
		return v
	}
	cut := r.sliceString(v, 0, max(0, length-r.length(end)), 1)
	if !b[1].truth() {
		if i := strings.LastIndexByte(cut.s, ' '); i >= 0 {
			cut = cut.sub(0, i)
		}
	}
	return r.concat(cut, end)
}

func filterUnique(r *render, v Value, a *args) Value {
	b := a.bind(r, "unique", "case_sensitive", "attribute")
	key, seen := r.sortKey(b[1], b[0].truth()), NewDict(0)
	items := r.iterate(v)
	r.allocList(3 * len(items))
	var out []Value
	for _, item := range items {
		k := key(item)
		if _, ok := seen.get(k); !ok {
			r.setItem(seen, k, None())
			out = append(out, item)
		}
	}
	return newList(out)
}

func filterWordCount(r *render, v Value, a *args) Value {
	v = r.str(v)
	r.scan(len(v.s))
	return Int(int64(len(strings.FieldsFunc(v.s, isSpace))))
}

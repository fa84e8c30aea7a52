package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var strMethods map[string]methodFunc

// format looks up methods by name, so the table is filled here.
func init() {
	strMethods = map[string]methodFunc{
		"capitalize": func(r *render, v Value, _ *args) Value { return r.mapText(v, capitalize) },
		"lower":      func(r *render, v Value, _ *args) Value { return r.mapText(v, strings.ToLower) },
		"upper":      func(r *render, v Value, _ *args) Value { return r.mapText(v, upper) },
		"title":      func(r *render, v Value, _ *args) Value { return r.mapText(v, title) },
		"swapcase":   func(r *render, v Value, _ *args) Value { return r.mapText(v, swapCase) },
		"strip":      stripMethod("strip", true, true),
		"lstrip":     stripMethod("lstrip", true, false),
		"rstrip":     stripMethod("rstrip", false, true),
		"startswith": affixMethod("startswith", strings.HasPrefix),
		"endswith":   affixMethod("endswith", strings.HasSuffix),
		"split":      strSplit, "rsplit": strRSplit, "splitlines": strSplitLines,
		"partition": strPartition, "rpartition": strRPartition,
		"replace": strReplace, "join": strJoin, "count": strCount, "format": strFormat,
		"find": findMethod("find", strings.Index, false), "rfind": findMethod("rfind", strings.LastIndex, false),
		"index": findMethod("index", strings.Index, true), "rindex": findMethod("rindex", strings.LastIndex, true),
		"removeprefix": strRemovePrefix, "removesuffix": strRemoveSuffix,
		"isdigit": allRunes(unicode.IsDigit), "isdecimal": allRunes(unicode.IsDigit), "isnumeric": allRunes(unicode.IsNumber),
		"isalpha": allRunes(unicode.IsLetter), "isspace": allRunes(isSpace),
		"isalnum": allRunes(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
		"islower": func(r *render, v Value, a *args) Value { return Bool(tests["lower"](r, v, a)) },
		"isupper": func(r *render, v Value, a *args) Value { return Bool(tests["upper"](r, v, a)) },
		"ljust":   padMethod("ljust", 0, 1), "rjust": padMethod("rjust", 1, 0), "center": padMethod("center", 1, 1),
		"zfill": strZFill,
	}
}

// mapText applies a change of case.
func (r *render) mapText(v Value, f func(string) string) Value {
	r.alloc(len(v.s))
	return v.rewritten(f(v.s))
}

// upper is Python's str.upper, which differs from Go's in that sharp s becomes two letters.
func upper(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "ß", "SS") }

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return title(s[:n]) + strings.ToLower(s[n:])
}

func title(s string) string {
	after := false
	return strings.Map(func(c rune) rune {
		first := !after
		if after = unicode.IsLetter(c); first {
			return unicode.ToTitle(c)
		}
		return unicode.ToLower(c)
	}, s)
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

func stripMethod(name string, left, right bool) methodFunc {
	return func(r *render, v Value, a *args) Value {
		return r.strip(v, a.bind(r, name, "chars")[0], left, right)
	}
}

// maxStripSet bounds the characters to strip, which are searched for each character of the text.
const maxStripSet = 256

// strip removes white space, or the runes of chars, from the ends of v.
func (r *render) strip(v, chars Value, left, right bool) Value {
	cut := isSpace
	if !chars.isMissing() && chars.kind != KindNone {
		set := r.strArg(chars)
		if len(set) > maxStripSet {
			r.fail("cannot strip more than %d different characters, got %d bytes", maxStripSet, len(set))
		}
		cut = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	from, to := 0, len(v.s)
	if left {
		from = to - len(strings.TrimLeftFunc(v.s, cut))
	}
	if right {
		to = from + len(strings.TrimRightFunc(v.s[from:], cut))
	}
	r.scan(len(v.s) - (to - from))
	return v.sub(from, to)
}

func affixMethod(name string, has func(s, affix string) bool) methodFunc {
	return func(r *render, v Value, a *args) Value {
		b := a.bind(r, name, "affix")
		options := []Value{b[0]}
		if b[0].kind == KindTuple {
			options = b[0].list().items
		}
		for _, o := range options {
			r.step(1)
			if has(v.s, r.strArg(o)) {
				return Bool(true)
			}
		}
		return Bool(false)
	}
}

// splitArgs reads the separator, "" for white space, and the most splits, -1 for no limit.
func (r *render) splitArgs(fn string, v Value, a *args) (sep string, most int) {
	b := a.bind(r, fn, "sep", "maxsplit")
	most = -1
	if !b[1].isMissing() {
		most = r.intArg(b[1])
	}
	if !b[0].isMissing() && b[0].kind != KindNone {
		if sep = r.strArg(b[0]); sep == "" {
			r.fail("empty separator")
		}
		r.allocList(strings.Count(v.s, sep) + 1)
	} else {
		r.allocList(len(v.s)/2 + 1)
	}
	r.scan(len(v.s))
	return sep, most
}

func strSplit(r *render, v Value, a *args) Value {
	sep, most := r.splitArgs("split", v, a)
	if sep == "" {
		return r.fields(v, most)
	}
	var out []Value
	from := 0
	for ; most != 0; most-- {
		i := strings.Index(v.s[from:], sep)
		if i < 0 {
			break
		}
		out = append(out, v.sub(from, from+i))
		from += i + len(sep)
	}
	return newList(append(out, v.sub(from, len(v.s))))
}

// fields splits at white space; after most splits the rest stays whole.
func (r *render) fields(v Value, most int) Value {
	var out []Value
	for at := 0; ; most-- {
		at = len(v.s) - len(strings.TrimLeftFunc(v.s[at:], isSpace))
		if at == len(v.s) {
			break
		}
		end := len(v.s)
		if i := strings.IndexFunc(v.s[at:], isSpace); i >= 0 && most != 0 {
			end = at + i
		}
		out = append(out, v.sub(at, end))
		at = end
	}
	return newList(out)
}

func strRSplit(r *render, v Value, a *args) Value {
	sep, most := r.splitArgs("rsplit", v, a)
	var out []Value
	if sep == "" {
		out = v.fieldsFromEnd(most)
	} else {
		end := len(v.s)
		for ; most != 0; most-- {
			i := strings.LastIndex(v.s[:end], sep)
			if i < 0 {
				break
			}
			out = append(out, v.sub(i+len(sep), end))
			end = i
		}
		out = append(out, v.sub(0, end))
	}
	slices.Reverse(out)
	return newList(out)
}

// fieldsFromEnd is fields with the splits counted from the end; the last field comes first.
func (v Value) fieldsFromEnd(most int) (out []Value) {
	for end := len(v.s); ; most-- {
		end = len(strings.TrimRightFunc(v.s[:end], isSpace))
		if end == 0 {
			return out
		}
		from := 0
		if i := strings.LastIndexFunc(v.s[:end], isSpace); i >= 0 && most != 0 {
			_, n := utf8.DecodeRuneInString(v.s[i:])
			from = i + n
		}
		out = append(out, v.sub(from, end))
		end = from
	}
}

func strSplitLines(r *render, v Value, a *args) Value {
	keep := a.bind(r, "splitlines", "keepends")[0].truth()
	r.allocList(strings.Count(v.s, "\n") + strings.Count(v.s, "\r") + 1)
	var out []Value
	for from := 0; from < len(v.s); {
		i := strings.IndexFunc(v.s[from:], isLineEnd)
		if i < 0 {
			out = append(out, v.sub(from, len(v.s)))
			break
		}
		end := from + i
		_, n := utf8.DecodeRuneInString(v.s[end:])
		if strings.HasPrefix(v.s[end:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, v.sub(from, end+n))
		} else {
			out = append(out, v.sub(from, end))
		}
		r.allocList(1)
		from = end + n
	}
	return newList(out)
}

func isLineEnd(c rune) bool {
	return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
}

func strPartition(r *render, v Value, a *args) Value {
	sep := r.strArg(a.bind(r, "partition", "sep")[0])
	r.scan(len(v.s))
	if i := strings.Index(v.s, sep); i >= 0 && sep != "" {
		return v.parts(i, i+len(sep))
	}
	return newTuple([]Value{v, Trusted(""), Trusted("")})
}

func strRPartition(r *render, v Value, a *args) Value {
	sep := r.strArg(a.bind(r, "rpartition", "sep")[0])
	r.scan(len(v.s))
	if i := strings.LastIndex(v.s, sep); i >= 0 && sep != "" {
		return v.parts(i, i+len(sep))
	}
	return newTuple([]Value{Trusted(""), Trusted(""), v})
}

func (v Value) parts(i, j int) Value {
	return newTuple([]Value{v.sub(0, i), v.sub(i, j), v.sub(j, len(v.s))})
}

func strReplace(r *render, v Value, a *args) Value {
	b := a.bind(r, "replace", "old", "new", "count")
	r.strArg(b[0])
	r.strArg(b[1])
	count := -1
	if !b[2].isMissing() {
		count = r.intArg(b[2])
	}
	return r.replace(v, b[0], b[1], count)
}

// replace puts with in place of the first count occurrences of old, all if count is negative.
func (r *render) replace(v, old, with Value, count int) Value {
	r.scan(len(v.s))
	t := r.takeText()
	from := 0
	for ; count != 0; count-- {
		i := strings.Index(v.s[from:], old.s)
		if i < 0 {
			break
		}
		r.step(1)
		t.addSub(v, from, from+i)
		t.addString(with)
		r.checkOutput(t)
		if from += i + len(old.s); old.s == "" {
			if from == len(v.s) {
				break
			}
			_, n := utf8.DecodeRuneInString(v.s[from:])
			t.addSub(v, from, from+n)
			from += n
		}
	}
	t.addSub(v, from, len(v.s))
	return r.finish(t)
}

func strJoin(r *render, v Value, a *args) Value {
	t := r.takeText()
	for i, item := range r.iterate(a.bind(r, "join", "iterable")[0]) {
		if i > 0 {
			t.addString(v)
		}
		r.strArg(item)
		r.step(1)
		r.addPlain(t, item)
	}
	return r.finish(t)
}

func strCount(r *render, v Value, a *args) Value {
	sub := r.strArg(a.bind(r, "count", "sub")[0])
	r.scan(len(v.s))
	return Int(int64(strings.Count(v.s, sub)))
}

func findMethod(name string, find func(s, sub string) int, must bool) methodFunc {
	return func(r *render, v Value, a *args) Value {
		b := a.bind(r, name, "sub", "start", "end")
		n := r.length(v)
		bound := func(v Value, absent int) int {
			if v.isMissing() {
				return absent
			}
			return r.sliceBound(v, absent, n, 1)
		}
		lo, hi := bound(b[1], 0), bound(b[2], n)
		from, sub := byteOffset(v.s, lo), r.strArg(b[0])
		at := -1
		if lo <= hi {
			at = find(v.s[from:from+byteOffset(v.s[from:], hi-lo)], sub)
		}
		if at < 0 {
			if must {
				r.fail("substring not found")
			}
			return Int(-1)
		}
		return Int(int64(lo + utf8.RuneCountInString(v.s[from:from+at])))
	}
}

func strRemovePrefix(r *render, v Value, a *args) Value {
	p := r.strArg(a.bind(r, "removeprefix", "prefix")[0])
	return v.sub(len(v.s)-len(strings.TrimPrefix(v.s, p)), len(v.s))
}

func strRemoveSuffix(r *render, v Value, a *args) Value {
	p := r.strArg(a.bind(r, "removesuffix", "suffix")[0])
	return v.sub(0, len(strings.TrimSuffix(v.s, p)))
}

func allRunes(is func(rune) bool) methodFunc {
	return func(r *render, v Value, a *args) Value {
		r.scan(len(v.s))
		return Bool(v.s != "" && strings.IndexFunc(v.s, func(c rune) bool { return !is(c) }) < 0)
	}
}

// padMethod fills up to a width; left and right say on which sides.
func padMethod(name string, left, right int) methodFunc {
	return func(r *render, v Value, a *args) Value {
		b := a.bind(r, name, "width", "fillchar")
		fill := Trusted(" ")
		if !b[1].isMissing() {
			fill = b[1]
		}
		if r.length(fill) != 1 {
			r.fail("the fill character must be one character long")
		}
		width := r.intArg(b[0])
		missing := width - r.length(v)
		if missing <= 0 {
			return v
		}
		before := missing * left / (left + right)
		if left == right {
			before += missing & width & 1 // as CPython rounds
		}
		pad := func(n int) Value { return r.repeat(fill, Int(int64(n))) }
		return r.concat(r.concat(pad(before), v), pad(missing-before))
	}
}

func strZFill(r *render, v Value, a *args) Value {
	missing := r.intArg(a.bind(r, "zfill", "width")[0]) - r.length(v)
	if missing <= 0 {
		return v
	}
	sign := 0
	if v.s != "" && (v.s[0] == '-' || v.s[0] == '+') {
		sign = 1
	}
	zeros := r.repeat(Trusted("0"), Int(int64(missing)))
	return r.concat(r.concat(v.sub(0, sign), zeros), v.sub(sign, len(v.s)))
}

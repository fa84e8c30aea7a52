package jinja

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWidth bounds the width and precision of a format.
const maxWidth = 4096

// conversion is one %-conversion: flags, width, precision and type.
type conversion struct {
	key, flags       string
	width, precision int // -1 where absent
	verb             byte
}

var conversionForm = regexp.MustCompile(`^%(?:\(([^)]*)\))?([-+ #0]*)([0-9]{0,4})(?:\.([0-9]{0,4}))?[hlL]?([diouxXeEfFgGcrsa%])`)

// percent is Python's format % values. The literal text keeps its origin.
func (r *render) percent(format, values Value) Value {
	items := []Value{values}
	if values.kind == KindTuple {
		items = values.list().items
	}
	t := r.takeText()
	used, named, from := 0, false, 0
	for from < len(format.s) {
		i := strings.IndexByte(format.s[from:], '%')
		if i < 0 {
			break
		}
		t.addSub(format, from, from+i)
		from += i
		m := conversionForm.FindStringSubmatch(format.s[from:min(len(format.s), from+256)])
		if m == nil {
			r.fail("unsupported format in %q", format.s[from:])
		}
		from += len(m[0])
		c := conversion{m[1], m[2], r.width(m[3]), r.width(m[4]), m[5][0]}
		if strings.Contains(m[0], ".") && m[4] == "" {
			c.precision = 0
		}
		r.step(1)
		switch {
		case c.verb == '%':
			t.add("%", true)
			continue
		case c.key != "":
			named = true
			r.addPlain(t, r.convert(&c, r.formatKey(values, c.key)))
			continue
		case used == len(items):
			r.fail("not enough arguments for format string")
		}
		r.addPlain(t, r.convert(&c, items[used]))
		used++
	}
	t.addSub(format, from, len(format.s))
	if used < len(items) && !named && values.kind != KindDict {
		r.fail("not all arguments converted during string formatting")
	}
	return r.finish(t)
}

func (r *render) width(digits string) int {
	if digits == "" {
		return -1
	}
	n, _ := strconv.Atoi(digits)
	if n > maxWidth {
		r.fail("format width %d is larger than %d", n, maxWidth)
	}
	return n
}

func (r *render) formatKey(values Value, key string) Value {
	if values.kind != KindDict {
		r.fail("format requires a mapping")
	}
	v, ok := values.dict().Get(key)
	if !ok {
		r.fail("KeyError: '%s'", key)
	}
	return v
}

// convert formats one value.
func (r *render) convert(c *conversion, v Value) Value {
	switch c.verb {
	case 's':
		v = r.str(v)
	case 'r', 'a':
		v = r.repr(v)
	case 'c':
		if v.isInteger() {
			v = Trusted(string(rune(r.intArg(v))))
		}
		if v.kind != KindString || utf8.RuneCountInString(v.s) != 1 {
			r.fail("%%c requires an integer or a character")
		}
	default:
		return Trusted(c.pad(r.formatNumber(c, v), true))
	}
	if c.precision >= 0 && c.verb != 'c' {
		v = r.sliceString(v, 0, min(c.precision, r.length(v)), 1)
	}
	return r.padString(c, v)
}

func (r *render) padString(c *conversion, v Value) Value {
	missing := c.width - r.length(v)
	if missing <= 0 {
		return v
	}
	spaces := Trusted(strings.Repeat(" ", missing))
	if strings.Contains(c.flags, "-") {
		return r.concat(v, spaces)
	}
	return r.concat(spaces, v)
}

func (r *render) formatNumber(c *conversion, v Value) string {
	if !v.isNumber() {
		if v.isUndefined() {
			r.failUndefined(v)
		}
		r.fail("%%%c format: a number is required, not %s", c.verb, v.typeName())
	}
	sign := ""
	if strings.Contains(c.flags, "+") {
		sign = "+"
	} else if strings.Contains(c.flags, " ") {
		sign = " "
	}
	s := ""
	if strings.IndexByte("eEfFgG", c.verb) >= 0 {
		s = c.float(v.number())
	} else {
		s = r.integerDigits(c, v)
	}
	if strings.HasPrefix(s, "-") {
		return s
	}
	return sign + s
}

func (c *conversion) float(f float64) string {
	precision := c.precision
	if precision < 0 {
		precision = 6
	}
	verb := c.verb
	if verb == 'g' || verb == 'G' {
		return formatGeneral(f, max(precision, 1), verb == 'G')
	}
	if verb == 'F' {
		verb = 'f'
	}
	return strings.ToLower(strconv.FormatFloat(f, verb, precision, 64))
}

// formatGeneral is C's %g, whose choice of exponent differs from Go's.
func formatGeneral(f float64, precision int, upper bool) string {
	s := strconv.FormatFloat(f, 'e', precision-1, 64)
	if i := strings.IndexByte(s, 'e'); i >= 0 {
		if exp, _ := strconv.Atoi(s[i+1:]); exp >= -4 && exp < precision {
			s = strconv.FormatFloat(f, 'f', precision-1-exp, 64)
			if strings.IndexByte(s, '.') >= 0 {
				s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
			}
		} else if strings.IndexByte(s[:i], '.') >= 0 {
			s = strings.TrimRight(strings.TrimRight(s[:i], "0"), ".") + s[i:]
		}
	}
	if upper {
		return strings.ToUpper(s)
	}
	return strings.ToLower(s)
}

func (r *render) integerDigits(c *conversion, v Value) string {
	b := v.big()
	if v.kind == KindFloat {
		f := v.float()
		if f != f || f-f != 0 || strings.IndexByte("oxX", c.verb) >= 0 {
			r.fail("%%%c format: an integer is required, not %s", c.verb, string(appendFloat(nil, f)))
		}
		b, _ = big.NewFloat(f).Int(nil)
	}
	base, prefix := 10, ""
	switch c.verb {
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0x"
	}
	digits := new(big.Int).Abs(b).Text(base)
	if c.precision > len(digits) {
		digits = strings.Repeat("0", c.precision-len(digits)) + digits
	}
	if strings.Contains(c.flags, "#") {
		digits = prefix + digits
	}
	if c.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if b.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// pad fills a number up to the width: with zeros behind the sign if zeros is set and asked for.
func (c *conversion) pad(s string, zeros bool) string {
	missing := c.width - len(s)
	switch {
	case missing <= 0:
		return s
	case strings.Contains(c.flags, "-"):
		return s + strings.Repeat(" ", missing)
	case zeros && strings.Contains(c.flags, "0"):
		sign := len(s) - len(strings.TrimLeft(s, "+- "))
		return s[:sign] + strings.Repeat("0", missing) + s[sign:]
	}
	return strings.Repeat(" ", missing) + s
}

// strFormat is str.format for fields without a format specification: {}, {0}, {name},
// {name.key} and {name[key]}, with !r and !s.
func strFormat(r *render, v Value, a *args) Value {
	t := r.takeText()
	next, from := 0, 0
	for from < len(v.s) {
		i := strings.IndexAny(v.s[from:], "{}")
		if i < 0 {
			break
		}
		t.addSub(v, from, from+i)
		from += i
		if from+1 < len(v.s) && v.s[from+1] == v.s[from] {
			t.addSub(v, from, from+1)
			from += 2
			continue
		}
		end := strings.IndexByte(v.s[from:], '}')
		if v.s[from] == '}' || end < 0 {
			r.fail("single '%c' encountered in format string", v.s[from])
		}
		r.step(1)
		r.addPlain(t, r.formatField(v.s[from+1:from+end], a, &next))
		from += end + 1
	}
	t.addSub(v, from, len(v.s))
	return r.finish(t)
}

func (r *render) formatField(field string, a *args, next *int) Value {
	if strings.Contains(field, ":") {
		r.fail("format specification in {%s} is not supported", field)
	}
	field, form, _ := strings.Cut(field, "!")
	end := strings.IndexAny(field, ".[")
	if end < 0 {
		end = len(field)
	}
	v := r.formatArg(field[:end], a, next)
	for _, key := range strings.FieldsFunc(field[end:], func(c rune) bool { return strings.ContainsRune(".[]", c) }) {
		i := Trusted(key)
		if n, err := strconv.Atoi(key); err == nil {
			i = Int(int64(n))
		}
		v = r.index(v, i)
	}
	if form == "r" {
		return r.repr(v)
	}
	return r.str(v)
}

func (r *render) formatArg(name string, a *args, next *int) Value {
	for i, have := range a.names {
		if have == name {
			return a.kw[i]
		}
	}
	at, err := strconv.Atoi(name)
	if name == "" {
		at, err = *next, nil
		*next++
	}
	if err != nil || at < 0 || at >= len(a.pos) {
		r.fail("no argument for field {%s} of a format string", name)
	}
	return a.pos[at]
}

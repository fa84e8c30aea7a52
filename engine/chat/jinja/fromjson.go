package jinja

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of objects and arrays.
const maxJSONDepth = 64

// FromJSON decodes one JSON text into a Value as Python's json.loads would: objects keep the
// order of their keys, 1 is an integer and 1.0 a float. All strings are untrusted. It refuses
// invalid UTF-8, unpaired surrogates, a key that occurs twice in an object, integers of more
// than 1024 bits, and nesting deeper than 64.
func FromJSON(data []byte) (Value, error) { return fromJSON(string(data)) }

func fromJSON(s string) (Value, error) {
	if !utf8.ValidString(s) {
		return Value{}, fmt.Errorf("JSON is not valid UTF-8")
	}
	d := jsonReader{s: s}
	v, err := d.value(0)
	if err != nil {
		return Value{}, err
	}
	if d.space(); d.i < len(s) {
		return Value{}, d.fail("unexpected text after the value")
	}
	return v, nil
}

type jsonReader struct {
	s string
	i int
}

func (d *jsonReader) fail(format string, args ...any) error {
	return fmt.Errorf("JSON at byte %d: %s", d.i, fmt.Sprintf(format, args...))
}

func (d *jsonReader) space() {
	for d.i < len(d.s) && strings.IndexByte(" \t\r\n", d.s[d.i]) >= 0 {
		d.i++
	}
}

// skip consumes c, after white space, if it comes next.
func (d *jsonReader) skip(c byte) bool {
	if d.space(); d.i < len(d.s) && d.s[d.i] == c {
		d.i++
		return true
	}
	return false
}

func (d *jsonReader) value(depth int) (Value, error) {
	d.space()
	if d.i == len(d.s) {
		return Value{}, d.fail("unexpected end")
	}
	c := d.s[d.i]
	if depth == maxJSONDepth && (c == '{' || c == '[') {
		return Value{}, d.fail("nested deeper than %d levels", maxJSONDepth)
	}
	switch c {
	case '{':
		d.i++
		return d.object(depth)
	case '[':
		d.i++
		return d.array(depth)
	case '"':
		s, err := d.str()
		return Text(s), err
	case 't':
		return Bool(true), d.word("true")
	case 'f':
		return Bool(false), d.word("false")
	case 'n':
		return None(), d.word("null")
	}
	return d.number()
}

func (d *jsonReader) word(w string) error {
	if !strings.HasPrefix(d.s[d.i:], w) {
		return d.fail("unexpected character %q", d.s[d.i])
	}
	d.i += len(w)
	return nil
}

func (d *jsonReader) object(depth int) (Value, error) {
	dict := NewDict(0)
	for first := true; !d.skip('}'); first = false {
		if !first && !d.skip(',') {
			return Value{}, d.fail("expected ',' or '}' in an object")
		}
		if d.space(); d.i == len(d.s) || d.s[d.i] != '"' {
			return Value{}, d.fail("expected a key in an object")
		}
		key, err := d.str()
		if err != nil {
			return Value{}, err
		}
		if !d.skip(':') {
			return Value{}, d.fail("expected ':' after key %q", key)
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		if _, twice := dict.Get(key); twice {
			return Value{}, d.fail("key %q occurs twice in an object", key)
		}
		dict.Set(key, v)
	}
	return DictOf(dict), nil
}

func (d *jsonReader) array(depth int) (Value, error) {
	var items []Value
	for !d.skip(']') {
		if len(items) > 0 && !d.skip(',') {
			return Value{}, d.fail("expected ',' or ']' in an array")
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	return ListOf(items...), nil
}

func (d *jsonReader) number() (Value, error) {
	start := d.i
	digits := func() bool {
		from := d.i
		for d.i < len(d.s) && d.s[d.i] >= '0' && d.s[d.i] <= '9' {
			d.i++
		}
		return d.i > from
	}
	at := func(chars string) bool { return d.i < len(d.s) && strings.IndexByte(chars, d.s[d.i]) >= 0 }
	if at("-") {
		d.i++
	}
	leading := d.i
	if !digits() || d.s[leading] == '0' && d.i > leading+1 {
		d.i = start
		return Value{}, d.fail("unexpected character %q", d.s[start])
	}
	isFloat := false
	if at(".") {
		isFloat = true
		if d.i++; !digits() {
			return Value{}, d.fail("expected digits after the point")
		}
	}
	if at("eE") {
		isFloat = true
		if d.i++; at("+-") {
			d.i++
		}
		if !digits() {
			return Value{}, d.fail("expected digits in the exponent")
		}
	}
	return d.convert(d.s[start:d.i], isFloat)
}

func (d *jsonReader) convert(s string, isFloat bool) (Value, error) {
	if isFloat {
		f, _ := strconv.ParseFloat(s, 64) // out of range gives an infinity, as in Python
		return Float(f), nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int(n), nil
	}
	if len(s) > maxIntBits/3 {
		return Value{}, d.fail("integer of %d digits is too large", len(s))
	}
	b, _ := new(big.Int).SetString(s, 10)
	return bigInt(b), nil
}

// str reads a string that begins at the current quote. Text without escapes is not copied.
func (d *jsonReader) str() (string, error) {
	d.i++
	start := d.i
	for d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			d.i++
			return d.s[start : d.i-1], nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.fail("control character %q in a string", c)
		}
		d.i++
	}
	return "", d.fail("string is not closed")
}

// escaped reads the rest of a string with escapes that began at start.
func (d *jsonReader) escaped(start int) (string, error) {
	b := []byte(d.s[start:d.i])
	for d.i < len(d.s) {
		c := d.s[d.i]
		d.i++
		switch {
		case c == '"':
			return string(b), nil
		case c == '\\':
			r, err := d.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", d.fail("control character %q in a string", c)
		default:
			b = append(b, c)
		}
	}
	return "", d.fail("string is not closed")
}

func (d *jsonReader) escape() (rune, error) {
	if d.i == len(d.s) {
		return 0, d.fail("string is not closed")
	}
	c := d.s[d.i]
	d.i++
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return 0, d.fail("unknown escape \\%c", c)
	}
	r, ok := d.unit()
	if ok && utf16.IsSurrogate(r) {
		ok = strings.HasPrefix(d.s[d.i:], `\u`)
		if ok {
			d.i += 2
			low, _ := d.unit()
			r = utf16.DecodeRune(r, low)
			ok = r != utf8.RuneError
		}
	}
	if !ok {
		return 0, d.fail("\\u escape is no character")
	}
	return r, nil
}

func (d *jsonReader) unit() (rune, bool) {
	if len(d.s)-d.i < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(d.s[d.i:d.i+4], 16, 16)
	d.i += 4
	return rune(n), err == nil
}

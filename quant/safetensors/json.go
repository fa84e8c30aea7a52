package safetensors

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant/bounds"
)

// scanner reads the little JSON that a header is made of: objects, arrays of whole
// numbers, strings. It recurses nowhere, so depth costs nothing, and its first
// failure sticks.
type scanner struct {
	data []byte // the header, valid UTF-8
	off  int
	base int // the header's offset in the file
	err  *bounds.Error
}

func (s *scanner) fail(field, reason string) {
	if s.err == nil {
		s.err = &bounds.Error{Format: format, Offset: s.base + s.off, Field: field, Reason: reason}
	}
}

// next skips white space and returns the next byte, or 0 at the end or after a
// failure.
func (s *scanner) next() byte {
	for s.err == nil && s.off < len(s.data) {
		switch c := s.data[s.off]; c {
		case ' ', '\t', '\n', '\r':
			s.off++
		default:
			return c
		}
	}
	return 0
}

// accept reports whether the next byte is c, and takes it if so.
func (s *scanner) accept(c byte) bool {
	if s.next() != c {
		return false
	}
	s.off++
	return true
}

func (s *scanner) expect(c byte) {
	if !s.accept(c) {
		s.fail("JSON", "expected "+strconv.Quote(string(c)))
	}
}

// object calls field for each key of an object; field reads the value. A key that
// occurs twice is a failure.
func (s *scanner) object(field func(key string)) {
	s.expect('{')
	if s.accept('}') {
		return
	}
	seen := map[string]bool{}
	for s.err == nil {
		key := s.string()
		if seen[key] {
			s.fail("JSON", "key "+strconv.Quote(key)+" occurs twice")
		}
		seen[key] = true
		s.expect(':')
		field(key)
		if !s.accept(',') {
			break
		}
	}
	s.expect('}')
}

// numbers reads an array of at most limit whole numbers.
func (s *scanner) numbers(limit int) []int {
	s.expect('[')
	out := []int{}
	if s.accept(']') {
		return out
	}
	for s.err == nil {
		if len(out) == limit {
			s.fail("JSON", "the array has over "+strconv.Itoa(limit)+" numbers")
		}
		out = append(out, s.number())
		if !s.accept(',') {
			break
		}
	}
	s.expect(']')
	return out
}

// number reads a whole number from 0 to math.MaxInt, written as JSON demands.
func (s *scanner) number() int {
	s.next()
	start := s.off
	for s.off < len(s.data) && s.data[s.off] >= '0' && s.data[s.off] <= '9' {
		s.off++
	}
	text := string(s.data[start:s.off])
	n, err := strconv.Atoi(text)
	if err != nil || len(text) > 1 && text[0] == '0' {
		s.fail("JSON", "expected a whole number in range")
		return 0
	}
	return n
}

// string reads a string with its escapes.
func (s *scanner) string() string {
	s.expect('"')
	var out []byte
	for s.err == nil {
		if s.off == len(s.data) {
			s.fail("JSON", "a string does not end")
			break
		}
		c := s.data[s.off]
		s.off++
		switch {
		case c == '"':
			return string(out)
		case c == '\\':
			out = s.escape(out)
		case c < ' ':
			s.fail("JSON", "a control character in a string")
		default:
			out = append(out, c)
		}
	}
	return ""
}

// escape appends what the escape after a backslash stands for.
func (s *scanner) escape(out []byte) []byte {
	if s.off == len(s.data) {
		return out
	}
	c := s.data[s.off]
	s.off++
	switch c {
	case '"', '\\', '/':
		return append(out, c)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'u':
		return utf8.AppendRune(out, s.unicode())
	}
	s.fail("JSON", "unknown escape")
	return out
}

// unicode reads the four digits after \u, and the second half of a surrogate pair.
func (s *scanner) unicode() rune {
	r := s.hex4()
	if !utf16.IsSurrogate(r) {
		return r
	}
	if s.off+2 > len(s.data) || s.data[s.off] != '\\' || s.data[s.off+1] != 'u' {
		s.fail("JSON", "half a surrogate pair")
		return 0
	}
	s.off += 2
	pair := utf16.DecodeRune(r, s.hex4())
	if pair == utf8.RuneError {
		s.fail("JSON", "half a surrogate pair")
	}
	return pair
}

func (s *scanner) hex4() rune {
	if s.off+4 > len(s.data) {
		s.fail("JSON", "a string does not end")
		return 0
	}
	n, err := strconv.ParseUint(string(s.data[s.off:s.off+4]), 16, 16)
	if err != nil {
		s.fail("JSON", "bad digits after \\u")
	}
	s.off += 4
	return rune(n)
}

package server

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// maxDepth bounds the nesting of a request's JSON.
const maxDepth = 64

// member is one field of a JSON object: its decoded name and its raw value. Both point
// into the scanned text, which must not change.
type member struct {
	name  string
	value []byte
}

// scanError says where a text is not the JSON we accept.
type scanError struct {
	path   string // "messages[2].content", "" at the top
	offset int
	what   string
}

func (e *scanError) Error() string {
	at := e.path
	if at == "" {
		at = "the body"
	}
	return fmt.Sprintf("%s is not valid JSON: %s at byte %d", at, e.what, e.offset)
}

// scanObject reads a whole JSON text, which must be an object, and returns its members
// in the client's order. It is stricter than RFC 8259 where a lenient reader and a
// strict one would see different requests: duplicate names, invalid UTF-8, lone
// surrogates, NUL, numbers beyond float64 and nesting beyond maxDepth are refused.
func scanObject(text []byte) ([]member, *scanError) {
	s := scanner{text: text}
	s.space()
	if s.peek() != '{' {
		return nil, s.fail("a JSON object must stand")
	}
	members, err := s.object(1, true)
	if err != nil {
		return nil, err
	}
	s.space()
	if s.pos < len(text) {
		return nil, s.fail("something follows the JSON object")
	}
	return members, nil
}

// scanMembers is scanObject for a part of a text that scanObject has accepted.
func scanMembers(object []byte) []member {
	s := scanner{text: object}
	members, err := s.object(1, true)
	if err != nil {
		panic("BUG: a scanned object does not scan: " + err.Error())
	}
	return members
}

// scanElements splits an array of a text that scanObject has accepted.
func scanElements(array []byte) [][]byte {
	s := scanner{text: array}
	s.pos++
	out := make([][]byte, 0, 4)
	for {
		s.space()
		switch s.peek() {
		case ']':
			return out
		case ',':
			s.pos++
			continue
		}
		start := s.pos
		if err := s.value(2); err != nil {
			panic("BUG: a scanned array does not scan: " + err.Error())
		}
		out = append(out, array[start:s.pos])
	}
}

// scanner reads JSON at pos. Its recursion is bounded by maxDepth.
type scanner struct {
	text []byte
	pos  int
}

func (s *scanner) fail(what string) *scanError { return &scanError{offset: s.pos, what: what} }

// peek returns the next byte, or 0 at the end: no value starts with either.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(depth int) *scanError {
	if depth > maxDepth {
		return s.fail(fmt.Sprintf("nesting deeper than %d levels", maxDepth))
	}
	switch c := s.peek(); {
	case c == '{':
		_, err := s.object(depth, false)
		return err
	case c == '[':
		return s.array(depth)
	case c == '"':
		_, err := s.str()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	return s.fail("a value must stand")
}

// object reads from '{' to '}'. It returns the members if keep is set.
func (s *scanner) object(depth int, keep bool) ([]member, *scanError) {
	var members []member
	var names nameSet
	s.pos++
	for first := true; ; first = false {
		s.space()
		if s.peek() == '}' && first {
			s.pos++
			return members, nil
		}
		at := s.pos
		if s.peek() != '"' {
			return nil, s.fail("a name in quotes must stand")
		}
		raw, err := s.str()
		if err != nil {
			return nil, err
		}
		name := nameOf(raw)
		if !names.add(name) {
			s.pos = at
			return nil, inside(s.fail("the name stands twice"), name)
		}
		s.space()
		if s.peek() != ':' {
			return nil, inside(s.fail("a colon must follow the name"), name)
		}
		s.pos++
		s.space()
		start := s.pos
		if err := s.value(depth + 1); err != nil {
			return nil, inside(err, name)
		}
		if keep {
			if members == nil {
				members = make([]member, 0, 8)
			}
			members = append(members, member{name, s.text[start:s.pos]})
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return members, nil
		default:
			return nil, s.fail("a comma or } must stand")
		}
	}
}

func (s *scanner) array(depth int) *scanError {
	s.pos++
	for i := 0; ; i++ {
		s.space()
		if s.peek() == ']' && i == 0 {
			s.pos++
			return nil
		}
		if err := s.value(depth + 1); err != nil {
			return inside(err, "["+strconv.Itoa(i)+"]")
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.fail("a comma or ] must stand")
		}
	}
}

// inside adds an outer name or "[index]" to an error's path, which is kept short: a
// name may be as long as the body.
func inside(err *scanError, outer string) *scanError {
	const longest = 64
	if len(outer) > longest {
		outer = outer[:longest] + "..."
	}
	switch {
	case err.path == "" || err.path[0] == '[':
		err.path = outer + err.path
	default:
		err.path = outer + "." + err.path
	}
	if len(err.path) > 4*longest {
		err.path = err.path[:4*longest]
	}
	return err
}

// str reads a string and returns it with its quotes.
func (s *scanner) str() ([]byte, *scanError) {
	start := s.pos
	s.pos++
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start:s.pos], nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.fail("a control character stands in a string")
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.text[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return nil, s.fail("invalid UTF-8")
			}
			s.pos += n
		}
	}
	return nil, s.fail("a string does not end")
}

// escape reads one escape sequence, both halves of a surrogate pair.
func (s *scanner) escape() *scanError {
	rest := s.text[s.pos:]
	if len(rest) < 2 {
		return s.fail("a string does not end")
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return nil
	case 'u':
		return s.unicodeEscape(rest)
	}
	return s.fail("an unknown escape")
}

func (s *scanner) unicodeEscape(rest []byte) *scanError {
	r, ok := hex4(rest)
	switch {
	case !ok:
		return s.fail("a malformed \\u escape")
	case r == 0:
		return s.fail("a NUL character")
	case r < 0xD800 || r > 0xDFFF:
		s.pos += 6
		return nil
	}
	low, ok := hex4(rest[6:])
	if r > 0xDBFF || !ok || low < 0xDC00 || low > 0xDFFF {
		return s.fail("a lone surrogate")
	}
	s.pos += 12
	return nil
}

// hex4 reads \uXXXX at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func (s *scanner) number() *scanError {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("a malformed number")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("a malformed number")
		}
	}
	if s.peek()|0x20 == 'e' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("a malformed number")
		}
	}
	if _, err := strconv.ParseFloat(string(s.text[start:s.pos]), 64); err != nil {
		s.pos = start
		return s.fail("a number beyond the range of float64")
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// unquote decodes a scanned string.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var out string
	if err := strict.Unmarshal(raw, &out); err != nil {
		panic(fmt.Sprintf("BUG: a scanned string does not decode: %v", err))
	}
	return out
}

// nameOf decodes a scanned name, which is a part of the scanned text where it can be.
func nameOf(raw []byte) string {
	if len(raw) == 2 || bytes.IndexByte(raw, '\\') >= 0 {
		return unquote(raw)
	}
	return unsafe.String(&raw[1], len(raw)-2)
}

// fewNames is how many names are told apart by comparison, beyond that by a map.
const fewNames = 16

// nameSet finds duplicate names.
type nameSet struct {
	few  [fewNames]string
	n    int // of few
	many map[string]struct{}
}

func (s *nameSet) add(name string) bool {
	if s.many != nil {
		if _, dup := s.many[name]; dup {
			return false
		}
		s.many[name] = struct{}{}
		return true
	}
	for _, have := range s.few[:s.n] {
		if have == name {
			return false
		}
	}
	s.few[s.n] = name
	if s.n++; s.n == fewNames {
		s.many = make(map[string]struct{}, 2*fewNames)
		for _, have := range s.few {
			s.many[have] = struct{}{}
		}
	}
	return true
}

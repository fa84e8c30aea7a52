package jinja

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokData tokenKind = iota
	tokVarBegin
	tokVarEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
	tokEOF
)

var tokenNames = [...]string{"text", "'{{'", "'}}'", "'{%'", "'%}'", "name", "string", "integer", "float", "operator", "end of template"}

type token struct {
	kind tokenKind
	s    string // data, name, operator; digits of a number; a string literal without quotes, escapes as written
	line int
}

// lexer cuts a template into tokens under jinja2's rules for trim_blocks and lstrip_blocks.
type lexer struct {
	src       string
	pos       int
	line      int
	lineStart bool // the last thing consumed ended a line
	toks      []token
}

func lex(src string) ([]token, error) {
	l := &lexer{src: normalizeNewlines(src), line: 1, lineStart: true}
	l.src = strings.TrimSuffix(l.src, "\n")
	for l.pos < len(l.src) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.emit(tokEOF, "")
	return l.toks, nil
}

func normalizeNewlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

func (l *lexer) emit(kind tokenKind, s string) {
	l.toks = append(l.toks, token{kind, s, l.line})
}

func (l *lexer) fail(format string, args ...any) error { return syntaxError(l.line, format, args...) }

// advance moves to pos and counts the lines passed.
func (l *lexer) advance(pos int) {
	part := l.src[l.pos:pos]
	l.line += strings.Count(part, "\n")
	if part != "" {
		l.lineStart = part[len(part)-1] == '\n'
	}
	l.pos = pos
}

// next consumes text up to a tag, and the tag.
func (l *lexer) next() error {
	open := nextTag(l.src, l.pos)
	if open < 0 {
		l.emit(tokData, l.src[l.pos:])
		l.advance(len(l.src))
		return nil
	}
	l.data(l.pos, open)
	l.advance(open)
	switch l.src[open+1] {
	case '#':
		return l.comment()
	case '{':
		l.emit(tokVarBegin, "")
		return l.tag(tokVarEnd)
	}
	if m := rawBegin.FindStringIndex(l.src[open:min(len(l.src), open+256)]); m != nil {
		return l.raw(open + m[1])
	}
	l.emit(tokBlockBegin, "")
	return l.tag(tokBlockEnd)
}

// nextTag returns the position of the next "{{", "{%" or "{#" from pos, or -1.
func nextTag(s string, pos int) int {
	for {
		i := strings.IndexByte(s[pos:], '{')
		if i < 0 || pos+i+1 >= len(s) {
			return -1
		}
		if pos += i; strings.IndexByte("{%#", s[pos+1]) >= 0 {
			return pos
		}
		pos++
	}
}

// data emits the text from..to before a tag at to, stripped as the tag asks: all white space
// for a minus sign; for a block or comment without a plus sign, the indentation of its line.
func (l *lexer) data(from, to int) {
	part := l.src[from:to]
	sign := byte(0)
	if to+2 < len(l.src) {
		sign = l.src[to+2]
	}
	if sign == '-' {
		part = strings.TrimRightFunc(part, isSpace)
	} else if sign != '+' && l.src[to+1] != '{' {
		line := strings.LastIndexByte(part, '\n') + 1
		if (line > 0 || l.lineStart) && strings.TrimFunc(part[line:], isSpace) == "" {
			part = part[:line]
		}
	}
	if part != "" {
		l.emit(tokData, part)
	}
}

func (l *lexer) comment() error {
	begin := l.pos + 2
	if begin < len(l.src) && (l.src[begin] == '-' || l.src[begin] == '+') {
		begin++
	}
	i := strings.Index(l.src[begin:], "#}")
	if i < 0 {
		return l.fail("comment is not closed")
	}
	end := begin + i
	strip, keep := i > 0 && l.src[end-1] == '-', i > 0 && l.src[end-1] == '+'
	l.closeTag(end+2, strip, !keep)
	return nil
}

// closeTag moves behind a tag that ends at pos and the white space that goes with it: all of
// it for a minus sign, else the newline that follows if trim is set.
func (l *lexer) closeTag(pos int, strip, trim bool) {
	if strip {
		pos = len(l.src) - len(strings.TrimLeftFunc(l.src[pos:], isSpace))
	} else if trim && strings.HasPrefix(l.src[pos:], "\n") {
		pos++
	}
	l.advance(pos)
}

var (
	rawBegin = regexp.MustCompile(`^\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})`)
	rawEnd   = regexp.MustCompile(`\{%[-+]?\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)`)
)

func (l *lexer) raw(body int) error {
	l.advance(body)
	m := rawEnd.FindStringIndex(l.src[body:])
	if m == nil {
		return l.fail("raw block is not closed")
	}
	l.data(body, body+m[0])
	l.advance(body + m[1])
	return nil
}

// tag lexes the inside of a tag up to its end. Inside brackets the end marker does not count,
// so that {{ {'a': {}} }} works.
func (l *lexer) tag(end tokenKind) error {
	l.advance(l.pos + 2)
	if l.pos < len(l.src) && (l.src[l.pos] == '-' || l.src[l.pos] == '+') {
		l.advance(l.pos + 1)
	}
	var brackets []byte
	for {
		if len(brackets) == 0 && l.tagEnd(end) {
			return nil
		}
		if l.pos >= len(l.src) {
			return l.fail("tag is not closed, expected %s", tokenNames[end])
		}
		if err := l.inside(&brackets); err != nil {
			return err
		}
	}
}

func (l *lexer) tagEnd(end tokenKind) bool {
	rest, marker := l.src[l.pos:], "%}"
	if end == tokVarEnd {
		marker = "}}"
	}
	strip := strings.HasPrefix(rest, "-"+marker)
	keep := end == tokBlockEnd && strings.HasPrefix(rest, "+"+marker)
	if !strip && !keep && !strings.HasPrefix(rest, marker) {
		return false
	}
	l.emit(end, "")
	pos := l.pos + len(marker)
	if strip || keep {
		pos++
	}
	l.closeTag(pos, strip, end == tokBlockEnd && !keep)
	return true
}

// inside consumes white space or one token of a tag.
func (l *lexer) inside(brackets *[]byte) error {
	rest := l.src[l.pos:]
	c, size := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(c):
		l.advance(l.pos + size)
	case c >= '0' && c <= '9':
		return l.number()
	case c == '_' || unicode.IsLetter(c):
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(rest)
		}
		l.emit(tokName, rest[:n])
		l.advance(l.pos + n)
	case c == '"' || c == '\'':
		return l.quoted(rest)
	default:
		return l.operator(rest, brackets)
	}
	return nil
}

func (l *lexer) quoted(rest string) error {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			l.emit(tokString, rest[1:i])
			l.advance(l.pos + i + 1)
			return nil
		}
	}
	return l.fail("string is not closed")
}

var numberForm = regexp.MustCompile(`^(?:0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[0-9](?:_?[0-9])*(?:\.[0-9](?:_?[0-9])*)?(?:[eE][-+]?[0-9](?:_?[0-9])*)?)`)

func (l *lexer) number() error {
	s := numberForm.FindString(l.src[l.pos:])
	// x.0.1 is an index of an index, not an index of the float 0.1.
	if l.pos > 0 && l.src[l.pos-1] == '.' {
		s = s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	}
	kind := tokInt
	if !strings.HasPrefix(s, "0x") && !strings.HasPrefix(s, "0X") && strings.ContainsAny(s, ".eE") {
		kind = tokFloat
	}
	l.emit(kind, strings.ReplaceAll(s, "_", ""))
	l.advance(l.pos + len(s))
	return nil
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func (l *lexer) operator(rest string, brackets *[]byte) error {
	op := rest[:1]
	if len(rest) > 1 {
		switch rest[:2] {
		case "**", "//", "==", "!=", "<=", ">=":
			op = rest[:2]
		}
	}
	switch c := op[0]; {
	case strings.IndexByte("([{", c) >= 0:
		*brackets = append(*brackets, closing[c])
	case strings.IndexByte(")]}", c) >= 0:
		n := len(*brackets)
		if n == 0 || (*brackets)[n-1] != c {
			return l.fail("unexpected %q", op)
		}
		*brackets = (*brackets)[:n-1]
	case op == "!" || strings.IndexByte("+-*/%~<>=.:,;|!", c) < 0:
		r, _ := utf8.DecodeRuneInString(rest)
		return l.fail("unexpected character %q", r)
	}
	l.emit(tokOp, op)
	l.advance(l.pos + len(op))
	return nil
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}

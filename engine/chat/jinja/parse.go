package jinja

import (
	"fmt"
	"unicode/utf8"
)

// maxSource bounds the text of a template and maxNest the nesting of its statements and
// brackets, which bounds the parser's recursion.
const (
	maxSource = 1 << 20
	maxNest   = 64
)

func syntaxError(line int, format string, args ...any) error {
	return &Error{line, fmt.Sprintf(format, args...)}
}

type parser struct {
	t      *Template
	toks   []token
	pos    int
	depth  int
	inLoop bool
	ids    map[string]int
}

// parse builds the statements of src into t.
func parse(src string, t *Template) (err error) {
	if len(src) > maxSource {
		return syntaxError(1, "template of %d bytes is larger than %d", len(src), maxSource)
	}
	if !utf8.ValidString(src) {
		return syntaxError(1, "template is not valid UTF-8")
	}
	toks, err := lex(src)
	if err != nil {
		return err
	}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case abort:
			err = p.err
		default:
			panic(p)
		}
	}()
	p := &parser{t: t, toks: toks, ids: map[string]int{}}
	t.body = p.block()
	if end := p.peek(); end.kind != tokEOF {
		p.fail(end, "unexpected tag %q", end.s)
	}
	return nil
}

// fail aborts the parse; parse recovers it.
func (p *parser) fail(at token, format string, args ...any) {
	panic(abort{syntaxError(at.line, format, args...)})
}

// nest counts one level of nesting down; the function it returns goes up again.
func (p *parser) nest() func() {
	if p.depth++; p.depth > maxNest {
		p.fail(p.peek(), "nested deeper than %d levels", maxNest)
	}
	return func() { p.depth-- }
}

func (t token) describe() string {
	switch t.kind {
	case tokName, tokOp, tokInt, tokFloat:
		return fmt.Sprintf("%q", t.s)
	}
	return tokenNames[t.kind]
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) take() token {
	t := p.toks[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) skip(kind tokenKind, s string) bool {
	if t := p.peek(); t.kind != kind || t.s != s {
		return false
	}
	p.pos++
	return true
}

func (p *parser) skipOp(s string) bool   { return p.skip(tokOp, s) }
func (p *parser) skipName(s string) bool { return p.skip(tokName, s) }

func (p *parser) expect(kind tokenKind, what string) token {
	t := p.take()
	if t.kind != kind {
		p.fail(t, "expected %s, got %s", what, t.describe())
	}
	return t
}

func (p *parser) expectName() token { return p.expect(tokName, "a name") }
func (p *parser) blockEnd()         { p.expect(tokBlockEnd, "'%}'") }

func (p *parser) expectOp(s string) {
	if t := p.peek(); !p.skipOp(s) {
		p.fail(t, "expected %q, got %s", s, t.describe())
	}
}

// name returns the number of a variable name.
func (p *parser) name(s string) int {
	id, ok := p.ids[s]
	if !ok {
		id = len(p.t.names)
		p.ids[s] = id
		p.t.names = append(p.t.names, s)
	}
	return id
}

// block parses statements up to a tag that none of them begins with, such as endif, whose
// name becomes the next token.
func (p *parser) block() []stmt {
	defer p.nest()()
	body := []stmt{}
	for {
		switch t := p.take(); t.kind {
		case tokData:
			body = append(body, &dataStmt{t.s})
		case tokVarBegin:
			body = append(body, &outStmt{p.tuple(true), t.line})
			p.expect(tokVarEnd, "'}}'")
		case tokBlockBegin:
			s := p.statement()
			if s == nil {
				return body
			}
			body = append(body, s)
		default:
			return body
		}
	}
}

// statement parses one statement behind "{%". It returns nil, and consumes nothing, where the
// tag ends the block around it.
func (p *parser) statement() stmt {
	t := p.expect(tokName, "a tag name")
	switch t.s {
	case "if":
		return p.ifStmt(t.line)
	case "for":
		return p.forStmt(t.line)
	case "set":
		return p.setStmt(t.line)
	case "macro":
		return p.macroStmt()
	case "call":
		return p.callBlock(t.line)
	case "filter":
		return p.filterBlock(t.line)
	case "with":
		return p.withStmt(t.line)
	case "generation":
		p.blockEnd()
		return &scopeStmt{body: p.body("endgeneration")}
	case "break", "continue":
		if !p.inLoop {
			p.fail(t, "%s outside of a loop", t.s)
		}
		p.blockEnd()
		return &jumpStmt{t.s == "break"}
	case "endif", "elif", "else", "endfor", "endset", "endmacro", "endcall", "endfilter", "endwith", "endgeneration":
		p.pos--
		return nil
	}
	p.fail(t, "unknown tag %q", t.s)
	return nil
}

// body parses a block and its closing tag.
func (p *parser) body(end string) []stmt {
	b := p.block()
	p.end(end)
	return b
}

func (p *parser) end(name string) {
	if t := p.take(); t.kind != tokName || t.s != name {
		p.fail(t, "expected tag %q, got %s", name, t.describe())
	}
	if name == "endmacro" && p.peek().kind == tokName {
		p.pos++
	}
	p.blockEnd()
}

// tuple parses expressions with commas between them; withCond allows inline if.
func (p *parser) tuple(withCond bool) expr {
	parse := p.or
	if withCond {
		parse = p.expression
	}
	first := parse()
	if !p.skipOp(",") {
		return first
	}
	items := []expr{first}
	for !p.endsTuple() {
		items = append(items, parse())
		if !p.skipOp(",") {
			break
		}
	}
	return &listExpr{items, true}
}

func (p *parser) endsTuple() bool {
	t := p.peek()
	return t.kind == tokVarEnd || t.kind == tokBlockEnd || t.kind == tokName && (t.s == "recursive" || t.s == "if")
}

func (p *parser) ifStmt(line int) stmt {
	s := &ifStmt{line: line}
	for {
		s.conds = append(s.conds, p.tuple(false))
		p.blockEnd()
		s.bodies = append(s.bodies, p.block())
		if !p.skipName("elif") {
			break
		}
	}
	if p.skipName("else") {
		p.blockEnd()
		s.other = p.block()
	}
	p.end("endif")
	return s
}

func (p *parser) forStmt(line int) stmt {
	s := &forStmt{line: line, loopID: p.name("loop")}
	s.target = p.targets()
	if !p.skipName("in") {
		p.fail(p.peek(), "expected \"in\", got %s", p.peek().describe())
	}
	s.iter = p.tuple(false)
	if p.skipName("if") {
		s.filter = p.expression()
	}
	s.recursive = p.skipName("recursive")
	p.blockEnd()
	outer := p.inLoop
	p.inLoop = true
	s.body = p.block()
	p.inLoop = outer
	if p.skipName("else") {
		p.blockEnd()
		s.other = p.block()
	}
	p.end("endfor")
	return s
}

// targets parses the names that a for or set assigns to, with commas or in parentheses.
func (p *parser) targets() target {
	if p.skipOp("(") {
		t := p.targets()
		p.expectOp(")")
		return t
	}
	t := target{ids: []int{p.targetName()}}
	for p.skipOp(",") {
		t.unpack = true
		if p.peek().kind != tokName || p.peek().s == "in" {
			break
		}
		t.ids = append(t.ids, p.targetName())
	}
	return t
}

func (p *parser) targetName() int {
	t := p.expectName()
	switch t.s {
	case "true", "false", "none", "True", "False", "None":
		p.fail(t, "cannot assign to %q", t.s)
	}
	return p.name(t.s)
}

func (p *parser) setStmt(line int) stmt {
	s := &setStmt{line: line}
	if next := p.toks[min(p.pos+1, len(p.toks)-1)]; next.kind == tokOp && next.s == "." {
		s.target.ids = []int{p.targetName()}
		p.expectOp(".")
		s.field = p.expectName().s
	} else {
		s.target = p.targets()
	}
	if p.skipOp("=") {
		s.value = p.tuple(true)
		p.blockEnd()
		return s
	}
	for p.skipOp("|") {
		s.filters = append(s.filters, p.filter(nil))
	}
	p.blockEnd()
	s.body = p.body("endset")
	return s
}

func (p *parser) macroStmt() stmt {
	name := p.expectName()
	s := &macroStmt{id: p.name(name.s), def: &macroDef{name: name.s}}
	p.expectOp("(")
	p.params(s.def)
	p.blockEnd()
	p.macroBody(s.def, "endmacro")
	return s
}

// params parses the parameters of a macro or call block up to the closing parenthesis.
func (p *parser) params(m *macroDef) {
	for !p.skipOp(")") {
		if len(m.params) > 0 {
			p.expectOp(",")
		}
		t := p.peek()
		m.params = append(m.params, p.targetName())
		m.paramNames = append(m.paramNames, t.s)
		var def expr
		if p.skipOp("=") {
			def = p.expression()
		} else if n := len(m.defaults); n > 0 && m.defaults[n-1] != nil {
			p.fail(t, "parameter %q without a default follows one with a default", t.s)
		}
		m.defaults = append(m.defaults, def)
	}
}

func (p *parser) macroBody(m *macroDef, end string) {
	m.callerID, m.varargsID, m.kwargsID = p.name("caller"), p.name("varargs"), p.name("kwargs")
	outer, from := p.inLoop, p.pos
	p.inLoop = false
	m.body = p.body(end)
	p.inLoop = outer
	for _, t := range p.toks[from:p.pos] {
		if t.kind == tokName {
			m.usesVarargs = m.usesVarargs || t.s == "varargs"
			m.usesKwargs = m.usesKwargs || t.s == "kwargs"
			m.usesCaller = m.usesCaller || t.s == "caller"
		}
	}
}

func (p *parser) callBlock(line int) stmt {
	s := &callStmt{line: line, def: &macroDef{name: "caller"}}
	if p.skipOp("(") {
		p.params(s.def)
	}
	at := p.peek()
	call, ok := p.expression().(*callExpr)
	if !ok {
		p.fail(at, "expected a call in a call block")
	}
	p.blockEnd()
	p.macroBody(s.def, "endcall")
	call.args.names = append(call.args.names, "caller")
	call.args.kw = append(call.args.kw, &callerExpr{s.def})
	s.call = call
	return s
}

func (p *parser) filterBlock(line int) stmt {
	s := &filterStmt{line: line, filters: []*filterExpr{p.filter(nil)}}
	for p.skipOp("|") {
		s.filters = append(s.filters, p.filter(nil))
	}
	p.blockEnd()
	s.body = p.body("endfilter")
	return s
}

func (p *parser) withStmt(line int) stmt {
	s := &scopeStmt{line: line}
	for p.peek().kind != tokBlockEnd {
		if len(s.ids) > 0 {
			p.expectOp(",")
		}
		s.ids = append(s.ids, p.targetName())
		p.expectOp("=")
		s.values = append(s.values, p.expression())
	}
	p.blockEnd()
	s.body = p.body("endwith")
	return s
}

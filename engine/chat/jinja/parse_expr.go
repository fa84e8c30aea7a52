package jinja

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expression parses an expression with inline if.
func (p *parser) expression() expr {
	defer p.nest()()
	e := p.or()
	for p.skipName("if") {
		cond := p.or()
		var no expr
		if p.skipName("else") {
			no = p.expression()
		}
		e = &condExpr{cond, e, no}
	}
	return e
}

func (p *parser) or() expr {
	e := p.and()
	for p.skipName("or") {
		e = &logicExpr{e, p.and(), true}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for p.skipName("and") {
		e = &logicExpr{e, p.not(), false}
	}
	return e
}

func (p *parser) not() expr {
	if p.skipName("not") {
		defer p.nest()()
		return &notExpr{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	first := p.operators(sums, p.concat)
	var ops []string
	var rest []expr
	for {
		op, ok := p.compareOp()
		if !ok {
			break
		}
		right := p.operators(sums, p.concat)
		p.noteCompared(first, op, right)
		ops, rest = append(ops, op), append(rest, right)
	}
	if ops == nil {
		return first
	}
	return &compareExpr{first, ops, rest}
}

func (p *parser) compareOp() (string, bool) {
	t := p.peek()
	switch {
	case t.kind == tokOp && (t.s == "==" || t.s == "!=" || t.s == "<" || t.s == "<=" || t.s == ">" || t.s == ">="):
		p.pos++
		return t.s, true
	case p.skipName("in"):
		return "in", true
	case t.kind == tokName && t.s == "not" && p.toks[p.pos+1].kind == tokName && p.toks[p.pos+1].s == "in":
		p.pos += 2
		return "not in", true
	}
	return "", false
}

// noteCompared records the string constants that the template compares with something, which
// is how it knows role names.
func (p *parser) noteCompared(left expr, op string, right expr) {
	note := func(e expr) {
		if lit, ok := e.(*litExpr); ok && lit.v.kind == KindString {
			p.t.compared[lit.v.s] = true
		}
	}
	if op == "==" || op == "!=" {
		note(left)
		note(right)
	} else if list, ok := right.(*listExpr); ok {
		for _, item := range list.items {
			note(item)
		}
	}
}

var (
	sums     = []string{"+", "-"}
	products = []string{"*", "/", "//", "%"}
	powers   = []string{"**"}
)

// operators parses a chain of operators of one precedence whose operands operand parses.
func (p *parser) operators(ops []string, operand func() expr) expr {
	first := operand()
	var used []string
	var rest []expr
	for p.peek().kind == tokOp && slices.Contains(ops, p.peek().s) {
		used = append(used, p.take().s)
		rest = append(rest, operand())
	}
	if used == nil {
		return first
	}
	return &arithExpr{first, used, rest}
}

func (p *parser) concat() expr {
	items := []expr{p.product()}
	for p.skipOp("~") {
		items = append(items, p.product())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &concatExpr{items}
}

func (p *parser) product() expr { return p.operators(products, p.power) }

func (p *parser) power() expr {
	return p.operators(powers, func() expr { return p.unary(true) })
}

func (p *parser) unary(withFilter bool) expr {
	var e expr
	if t := p.peek(); t.kind == tokOp && (t.s == "-" || t.s == "+") {
		p.pos++
		leave := p.nest()
		e = &signExpr{p.unary(false), t.s == "-"}
		leave()
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if withFilter {
		e = p.filtersAndTests(e)
	}
	return e
}

func (p *parser) primary() expr {
	t := p.take()
	switch t.kind {
	case tokName:
		return p.named(t)
	case tokString:
		parts := []string{p.unescape(t)}
		for p.peek().kind == tokString {
			parts = append(parts, p.unescape(p.take()))
		}
		return &litExpr{Trusted(strings.Join(parts, ""))}
	case tokInt:
		b, ok := new(big.Int).SetString(t.s, 0)
		if !ok {
			b, ok = new(big.Int).SetString(t.s, 10) // Python allows 00
		}
		if !ok || b.BitLen() > maxIntBits {
			p.fail(t, "number %q is not usable", t.s)
		}
		return &litExpr{bigInt(b)}
	case tokFloat:
		f, _ := strconv.ParseFloat(t.s, 64) // out of range gives an infinity, as in Python
		return &litExpr{Float(f)}
	case tokOp:
		switch t.s {
		case "(":
			return p.parenthesized()
		case "[":
			items, _ := p.list("]")
			return &listExpr{items: items}
		case "{":
			return p.dict()
		}
	}
	p.fail(t, "unexpected %s", t.describe())
	return nil
}

func (p *parser) named(t token) expr {
	switch t.s {
	case "true", "True":
		return &litExpr{Bool(true)}
	case "false", "False":
		return &litExpr{Bool(false)}
	case "none", "None":
		return &litExpr{None()}
	}
	return &nameExpr{p.name(t.s), t.s}
}

func (p *parser) parenthesized() expr {
	items, comma := p.list(")")
	if len(items) == 1 && !comma {
		return items[0]
	}
	return &listExpr{items, true}
}

// list parses expressions up to the closing bracket; comma tells whether one was seen.
func (p *parser) list(end string) (items []expr, comma bool) {
	defer p.nest()()
	for !p.skipOp(end) {
		if len(items) > 0 {
			p.expectOp(",")
			if comma = true; p.skipOp(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items, comma
}

func (p *parser) dict() expr {
	defer p.nest()()
	d := &dictExpr{}
	for !p.skipOp("}") {
		if len(d.keys) > 0 {
			p.expectOp(",")
			if p.skipOp("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.expectOp(":")
		d.vals = append(d.vals, p.expression())
	}
	return d
}

func (p *parser) postfix(e expr) expr {
	for {
		t := p.peek()
		switch {
		case p.skipOp("."):
			e = p.attribute(e)
		case p.skipOp("["):
			e = p.subscript(e)
		case p.skipOp("("):
			e = &callExpr{e, p.callArgs(), t.line}
		default:
			return e
		}
	}
}

func (p *parser) attribute(e expr) expr {
	switch t := p.take(); t.kind {
	case tokName:
		return &attrExpr{e, t.s, methodsNamed(t.s)}
	case tokInt:
		i, err := strconv.ParseInt(t.s, 10, 64)
		if err != nil {
			p.fail(t, "index %q is not usable", t.s)
		}
		return &indexExpr{e, &litExpr{Int(i)}}
	default:
		p.fail(t, "expected a name or number after '.', got %s", t.describe())
		return nil
	}
}

func (p *parser) subscript(e expr) expr {
	defer p.nest()()
	var parts [3]expr
	n, isSlice := 0, false
	for !p.skipOp("]") {
		if p.skipOp(":") {
			if isSlice = true; n == 2 {
				p.fail(p.peek(), "too many colons in a slice")
			}
			n++
			continue
		}
		if parts[n] != nil {
			p.fail(p.peek(), "expected ']' or ':' in a subscript, got %s", p.peek().describe())
		}
		parts[n] = p.expression()
	}
	switch {
	case isSlice:
		return &sliceExpr{e, parts[0], parts[1], parts[2]}
	case parts[0] == nil:
		p.fail(p.peek(), "empty subscript")
	}
	return &indexExpr{e, parts[0]}
}

// callArgs parses arguments up to the closing parenthesis.
func (p *parser) callArgs() (a callArgs) {
	defer p.nest()()
	for first := true; !p.skipOp(")"); first = false {
		if !first {
			p.expectOp(",")
			if p.skipOp(")") {
				break
			}
		}
		p.callArg(&a)
	}
	return a
}

func (p *parser) callArg(a *callArgs) {
	t := p.peek()
	next := p.toks[min(p.pos+1, len(p.toks)-1)]
	switch {
	case p.skipOp("*"):
		a.star = p.expression()
	case p.skipOp("**"):
		a.dict = p.expression()
	case t.kind == tokName && next.kind == tokOp && next.s == "=":
		p.pos += 2
		a.names, a.kw = append(a.names, t.s), append(a.kw, p.expression())
	case len(a.kw) > 0:
		p.fail(t, "positional argument after a keyword argument")
	default:
		a.pos = append(a.pos, p.expression())
	}
}

func (p *parser) filtersAndTests(e expr) expr {
	for {
		t := p.peek()
		switch {
		case p.skipOp("|"):
			e = p.filter(e)
		case p.skipName("is"):
			e = p.test(e, t.line)
		case p.skipOp("("):
			e = &callExpr{e, p.callArgs(), t.line}
		default:
			return e
		}
	}
}

func (p *parser) filter(arg expr) *filterExpr {
	t := p.expectName()
	f := &filterExpr{arg: arg, name: t.s, fn: filters[t.s], line: t.line}
	if p.skipOp("(") {
		f.args = p.callArgs()
	}
	return f
}

func (p *parser) test(arg expr, line int) expr {
	negate := p.skipName("not")
	name := p.expectName().s
	e := &testExpr{arg: arg, name: name, fn: tests[name], line: line}
	if t := p.peek(); p.skipOp("(") {
		e.args = p.callArgs()
	} else if p.startsTestArg(t) {
		e.args.pos = []expr{p.postfix(p.primary())}
	}
	if negate {
		return &notExpr{e}
	}
	return e
}

func (p *parser) startsTestArg(t token) bool {
	switch t.kind {
	case tokName:
		if t.s == "is" {
			p.fail(t, "tests cannot be chained with is")
		}
		return t.s != "else" && t.s != "or" && t.s != "and" && t.s != "if" && t.s != "not" && t.s != "in"
	case tokString, tokInt, tokFloat:
		return true
	}
	return t.kind == tokOp && (t.s == "[" || t.s == "{")
}

// unescape decodes Python's escapes in a string literal; an unknown one stays as it is.
func (p *parser) unescape(t token) string {
	s := t.s
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		if j := strings.IndexByte("\n\\'\"abfnrtv", s[i+1]); j >= 0 {
			b.WriteString([]string{"", "\\", "'", "\"", "\a", "\b", "\f", "\n", "\r", "\t", "\v"}[j])
			i += 2
			continue
		}
		i += p.codeEscape(t, &b, s[i:])
	}
	return b.String()
}

// codeEscape writes the character of a numeric escape at the start of s and returns its length.
func (p *parser) codeEscape(t token, b *strings.Builder, s string) int {
	digits, base := s[1:min(len(s), 4)], 8
	if n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]; n > 0 {
		if len(s) < 2+n {
			p.fail(t, "truncated escape %q in a string", s)
		}
		digits, base = s[2:2+n], 16
	} else {
		digits = digits[:len(digits)-len(strings.TrimLeft(digits, "01234567"))]
		if digits == "" {
			b.WriteString(s[:2])
			return 2
		}
	}
	c, err := strconv.ParseUint(digits, base, 32)
	if err != nil || c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
		p.fail(t, "escape %q in a string is no character", s[:2]+digits)
	}
	b.WriteRune(rune(c))
	if base == 16 {
		return 2 + len(digits)
	}
	return 1 + len(digits)
}

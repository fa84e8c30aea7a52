package regex

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Compile parses an expression. What it does not know (lookbehind, back references,
// an unknown property) is an error that names it.
func Compile(src string) (*Regex, error) {
	if len(src) > maxPattern {
		return nil, fmt.Errorf("the regular expression is %d bytes long, more than %d", len(src), maxPattern)
	}
	p := &parser{src: src}
	n, err := p.alternatives(0)
	if err == nil && p.pos < len(src) {
		err = fmt.Errorf("unexpected %q", src[p.pos:p.pos+1])
	}
	var c compiler
	if err == nil {
		err = c.emit(n)
	}
	if err != nil {
		return nil, fmt.Errorf("regular expression %q, at byte %d: %w", clip(src), p.pos, err)
	}
	c.add(inst{op: opMatch})
	return &Regex{prog: c.prog, first: n.first(), src: src}, nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

type kind uint8

const (
	kSet    kind = iota
	kCat         // subs one after another
	kAlt         // one of subs
	kRepeat      // subs[0] min..max times
	kLook        // lookahead of subs[0]
	kAtomic      // subs[0] without coming back
	kAssert      // op
)

// node is a part of a parsed expression.
type node struct {
	kind      kind
	set       *set
	subs      []*node
	min, max  int
	lazy, neg bool
	op        opcode
}

// first returns the runes with which a match can start, or nil if it may be anything.
func (n *node) first() *set {
	switch n.kind {
	case kSet:
		return n.set
	case kRepeat:
		if n.min > 0 {
			return n.subs[0].first()
		}
	case kAtomic:
		return n.subs[0].first()
	case kAlt:
		s := newSet()
		for _, sub := range n.subs {
			f := sub.first()
			if f == nil {
				return nil
			}
			s = s.or(f)
		}
		return s
	case kCat:
		return firstOfCat(n.subs)
	}
	return nil
}

func firstOfCat(subs []*node) *set {
	s := newSet()
	for _, sub := range subs {
		if sub.kind == kRepeat && sub.min == 0 {
			f := sub.subs[0].first()
			if f == nil {
				return nil
			}
			s = s.or(f)
			continue
		}
		f := sub.first()
		if f == nil {
			return nil
		}
		return s.or(f)
	}
	return nil
}

type parser struct {
	src  string
	pos  int
	fold bool
}

func (p *parser) more() bool { return p.pos < len(p.src) }

func (p *parser) eat(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) rune() rune {
	r, w := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += w
	return r
}

func (p *parser) alternatives(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("groups are nested more than %d deep", maxDepth)
	}
	alt := &node{kind: kAlt}
	for {
		cat := &node{kind: kCat}
		for p.more() && p.src[p.pos] != '|' && p.src[p.pos] != ')' {
			n, err := p.repeat(depth)
			if err != nil {
				return nil, err
			}
			cat.subs = append(cat.subs, n)
		}
		alt.subs = append(alt.subs, cat)
		if !p.eat("|") {
			break
		}
	}
	if len(alt.subs) == 1 {
		return alt.subs[0], nil
	}
	return alt, nil
}

func (p *parser) repeat(depth int) (*node, error) {
	n, err := p.atom(depth)
	if err != nil {
		return nil, err
	}
	for p.more() {
		lo, hi, ok := p.quantifier()
		if !ok {
			break
		}
		n = &node{kind: kRepeat, subs: []*node{n}, min: lo, max: hi}
		if p.eat("?") {
			n.lazy = true
		} else if p.eat("+") {
			n = &node{kind: kAtomic, subs: []*node{n}}
		}
	}
	return n, nil
}

func (p *parser) quantifier() (lo, hi int, ok bool) {
	switch {
	case p.eat("*"):
		return 0, math.MaxInt32, true
	case p.eat("+"):
		return 1, math.MaxInt32, true
	case p.eat("?"):
		return 0, 1, true
	}
	body, _, found := strings.Cut(p.src[p.pos:], "}")
	if !found || !strings.HasPrefix(body, "{") {
		return 0, 0, false
	}
	from, to, ranged := strings.Cut(body[1:], ",")
	lo, err := strconv.Atoi(from)
	hi = lo
	if err == nil && ranged {
		if hi = math.MaxInt32; to != "" {
			hi, err = strconv.Atoi(to)
		}
	}
	if err != nil || lo < 0 || lo > hi {
		return 0, 0, false
	}
	p.pos += len(body) + 1
	return lo, hi, true
}

func (p *parser) atom(depth int) (*node, error) {
	switch {
	case p.eat("("):
		return p.group(depth)
	case p.eat("["):
		s, err := p.class(depth)
		return p.setNode(s), err
	case p.eat("."):
		return &node{kind: kSet, set: dotSet}, nil
	case p.eat("^"):
		return &node{kind: kAssert, op: opBegin}, nil
	case p.eat("$"):
		return &node{kind: kAssert, op: opEnd}, nil
	case p.eat(`\b`), p.eat(`\B`):
		return &node{kind: kAssert, op: opWord, neg: p.src[p.pos-1] == 'B'}, nil
	case p.eat(`\A`):
		return &node{kind: kAssert, op: opBegin}, nil
	case p.eat(`\z`):
		return &node{kind: kAssert, op: opEnd}, nil
	case p.eat(`\`):
		s, err := p.escape()
		return p.setNode(s), err
	}
	if c := p.src[p.pos]; c == '*' || c == '+' || c == '?' {
		return nil, fmt.Errorf("nothing to repeat before %q", string(c))
	}
	r := p.rune()
	return p.setNode(newSet(span{r, r})), nil
}

func (p *parser) setNode(s *set) *node {
	if s != nil && p.fold {
		s = s.fold()
	}
	return &node{kind: kSet, set: s}
}

func (p *parser) group(depth int) (*node, error) {
	wrap := func(n *node) *node { return n }
	fold := p.fold
	switch {
	case p.eat("?:"):
	case p.eat("?="):
		wrap = func(n *node) *node { return &node{kind: kLook, subs: []*node{n}} }
	case p.eat("?!"):
		wrap = func(n *node) *node { return &node{kind: kLook, neg: true, subs: []*node{n}} }
	case p.eat("?>"):
		wrap = func(n *node) *node { return &node{kind: kAtomic, subs: []*node{n}} }
	case p.eat("?i:"):
		p.fold = true
	case p.eat("?i)"):
		p.fold = true
		return &node{kind: kCat}, nil
	case p.eat("?"):
		end := min(len(p.src), p.pos+3)
		return nil, fmt.Errorf("the group (?%s is not supported", p.src[p.pos:end])
	}
	n, err := p.alternatives(depth + 1)
	if err != nil {
		return nil, err
	}
	p.fold = fold
	if !p.eat(")") {
		return nil, fmt.Errorf("a group is not closed")
	}
	return wrap(n), nil
}

// class parses what follows "[": ranges, escapes, nested classes and intersections.
func (p *parser) class(depth int) (*set, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("classes are nested more than %d deep", maxDepth)
	}
	neg := p.eat("^")
	s, limit := newSet(), anySet
	for first := true; ; first = false {
		if !p.more() {
			return nil, fmt.Errorf("a character class is not closed")
		}
		if p.eat("&&") {
			limit, s = limit.and(s), newSet()
			continue
		}
		if p.src[p.pos] == ']' && !first {
			p.pos++
			break
		}
		item, err := p.classItem(depth)
		if err != nil {
			return nil, err
		}
		s = s.or(item)
	}
	if s = limit.and(s); neg {
		s = s.not()
	}
	return s, nil
}

func (p *parser) classItem(depth int) (*set, error) {
	if p.eat("[") {
		return p.class(depth + 1)
	}
	lo, err := p.classRune()
	if err != nil || len(lo.ranges) != 1 || lo.ranges[0].lo != lo.ranges[0].hi {
		return lo, err
	}
	rest := p.src[p.pos:]
	if len(rest) < 2 || rest[0] != '-' || rest[1] == ']' {
		return lo, nil
	}
	p.pos++
	hi, err := p.classRune()
	if err != nil {
		return nil, err
	}
	a, b := lo.ranges[0].lo, hi.ranges[0].hi
	if len(hi.ranges) != 1 || a > b {
		return nil, fmt.Errorf("a range of a character class is out of order")
	}
	return newSet(span{a, b}), nil
}

func (p *parser) classRune() (*set, error) {
	if p.eat(`\`) {
		return p.escape()
	}
	r := p.rune()
	return newSet(span{r, r}), nil
}

// escapes are the letters that mean a rune or a set after a backslash.
var escapes = map[byte]*set{
	'n': newSet(span{'\n', '\n'}), 'r': newSet(span{'\r', '\r'}), 't': newSet(span{'\t', '\t'}),
	'f': newSet(span{'\f', '\f'}), 'v': newSet(span{'\v', '\v'}), '0': newSet(span{0, 0}),
	's': spaceSet, 'S': spaceSet.not(), 'd': digitSet, 'D': digitSet.not(), 'w': wordSet, 'W': wordSet.not(),
}

// escape parses what follows a backslash.
func (p *parser) escape() (*set, error) {
	if !p.more() {
		return nil, fmt.Errorf("the expression ends in a backslash")
	}
	c := p.src[p.pos]
	if s, ok := escapes[c]; ok {
		p.pos++
		return s, nil
	}
	switch c {
	case 'p', 'P':
		p.pos++
		return p.property(c == 'P')
	case 'x':
		p.pos++
		return p.hex(2)
	case 'u':
		p.pos++
		return p.hex(4)
	}
	if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return nil, fmt.Errorf(`\%c is not supported`, c)
	}
	r := p.rune()
	return newSet(span{r, r}), nil
}

func (p *parser) property(neg bool) (*set, error) {
	name := ""
	if p.eat("{") {
		body, _, found := strings.Cut(p.src[p.pos:], "}")
		if !found {
			return nil, fmt.Errorf("a property name is not closed")
		}
		p.pos += len(body) + 1
		name = body
	} else if p.more() {
		name = string(p.rune())
	}
	if rest, ok := strings.CutPrefix(name, "^"); ok {
		name, neg = rest, !neg
	}
	s, ok := property(name)
	if !ok {
		return nil, fmt.Errorf("unknown Unicode property %q", name)
	}
	if neg {
		s = s.not()
	}
	return s, nil
}

func (p *parser) hex(digits int) (*set, error) {
	text := ""
	if p.eat("{") {
		body, _, _ := strings.Cut(p.src[p.pos:], "}")
		text = body
		p.pos = min(len(p.src), p.pos+len(body)+1)
	} else {
		end := min(len(p.src), p.pos+digits)
		text = p.src[p.pos:end]
		p.pos = end
	}
	v, err := strconv.ParseUint(text, 16, 21)
	if err != nil || v > utf8.MaxRune {
		return nil, fmt.Errorf("%q is no code point", text)
	}
	return newSet(span{rune(v), rune(v)}), nil
}

// Package regex matches the regular expressions that tokenizer files carry, which
// Go's own regexp refuses: lookahead, possessive quantifiers and atomic groups
// beside Perl's usual syntax and Unicode properties.
//
// It is a plain backtracking matcher, so an expression from a hostile file could
// take exponential time; every text therefore has a budget of steps that is linear
// in its length. Known expressions have hand-written splitters in package tokenizer,
// for which this matcher is the slow twin.
package regex

import (
	"errors"
	"unicode/utf8"
)

// Limits of an expression: they bound compile time and memory.
const (
	maxPattern = 64 << 10 // bytes of source
	maxProg    = 20000    // instructions
	maxDepth   = 100      // nested groups
)

// Steps of the matcher per byte of text and for each text: some ten times what the
// heaviest published expression takes on ordinary text.
const (
	stepsPerByte = 500
	stepsBase    = 100000
)

// errBudget is how the matcher leaves a text whose budget of steps is spent.
var errBudget = errors.New("the regular expression's budget of steps is spent")

type opcode uint8

const (
	opSet    opcode = iota // one rune of set
	opRun                  // min..max runes of set, as many as possible first
	opSplit                // try x, then y
	opJump                 // go on at x
	opLook                 // succeed if the part from pc+1 does (or, neg, does not) match here; go on at x
	opAtomic               // match the part from pc+1 once, never come back; go on at x
	opBegin                // start of text
	opEnd                  // end of text
	opWord                 // word boundary (neg: none)
	opMatch
)

type inst struct {
	op       opcode
	neg      bool
	x, y     int
	set      *set
	min, max int
}

// Regex is a compiled expression. It is immutable and safe for concurrent use.
type Regex struct {
	prog  []inst
	first *set // runes a match can start with, or nil where it can be anything
	src   string
}

// String returns the expression's source.
func (re *Regex) String() string { return re.src }

// Next finds the leftmost match in s that starts at or after from, as Perl orders
// alternatives; an empty match counts only after from, so that a caller who goes on at
// the end of each match gets on. Without one it returns len(s), len(s). Steps is the
// text's remaining budget, from Budget; once it is spent nothing matches any more.
func (re *Regex) Next(s string, from int, steps *int) (start, end int) {
	m := matcher{prog: re.prog, s: s, steps: steps}
	for i := from; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		if re.first == nil || re.first.has(r) {
			e, err := m.run(0, i)
			if err != nil {
				break
			}
			if e > i || e == i && i > from {
				return i, e
			}
		}
		i += w
	}
	return len(s), len(s)
}

// StartsWith reports whether a match can start with r.
func (re *Regex) StartsWith(r rune) bool { return re.first == nil || re.first.has(r) }

// Budget returns the steps that matching over a text of n bytes may take.
func Budget(n int) int { return stepsBase + stepsPerByte*n }

// matcher is the state of matching one text. The stack holds the alternatives that
// are still open: positions hi down to lo at pc.
type matcher struct {
	prog  []inst
	s     string
	steps *int
	stack []open
}

type open struct{ pc, lo, hi int }

// run matches the program from pc at i. It returns the end of the match, or -1.
func (m *matcher) run(pc, i int) (int, error) {
	base := len(m.stack)
	defer func() { m.stack = m.stack[:base] }()
	for {
		if *m.steps--; *m.steps < 0 {
			return -1, errBudget
		}
		ok := true
		in := &m.prog[pc]
		switch in.op {
		case opMatch:
			return i, nil
		case opSet:
			r, w := utf8.DecodeRuneInString(m.s[i:])
			if ok = w > 0 && in.set.has(r); ok {
				i, pc = i+w, pc+1
			}
		case opRun:
			lo, hi, n := m.scan(in, i)
			if ok = n >= in.min; ok {
				if hi > lo {
					m.stack = append(m.stack, open{pc + 1, lo, m.back(hi)})
				}
				i, pc = hi, pc+1
			}
		case opSplit:
			m.stack = append(m.stack, open{in.y, i, i})
			pc = in.x
		case opJump:
			pc = in.x
		case opLook, opAtomic:
			e, err := m.run(pc+1, i)
			if err != nil {
				return -1, err
			}
			if ok = (e >= 0) != in.neg; ok {
				if in.op == opAtomic {
					i = e
				}
				pc = in.x
			}
		case opBegin:
			ok, pc = i == 0, pc+1
		case opEnd:
			ok, pc = i == len(m.s), pc+1
		case opWord:
			ok, pc = m.boundary(i) != in.neg, pc+1
		}
		if !ok {
			if len(m.stack) == base {
				return -1, nil
			}
			pc, i = m.pop()
		}
	}
}

// scan measures the run of in's set at i: lo is the position after the least number
// of runes, hi after the most, n how many those are.
func (m *matcher) scan(in *inst, i int) (lo, hi, n int) {
	lo = i
	for hi = i; n < in.max && hi < len(m.s); n++ {
		r, w := utf8.DecodeRuneInString(m.s[hi:])
		if !in.set.has(r) {
			break
		}
		if hi += w; n < in.min {
			lo = hi
		}
	}
	*m.steps -= n
	return lo, hi, n
}

// pop takes the newest open alternative.
func (m *matcher) pop() (pc, i int) {
	top := &m.stack[len(m.stack)-1]
	pc, i = top.pc, top.hi
	if top.hi > top.lo {
		top.hi = m.back(top.hi)
	} else {
		m.stack = m.stack[:len(m.stack)-1]
	}
	return pc, i
}

func (m *matcher) back(i int) int {
	_, w := utf8.DecodeLastRuneInString(m.s[:i])
	return i - w
}

func (m *matcher) boundary(i int) bool {
	before, w := utf8.DecodeLastRuneInString(m.s[:i])
	after, v := utf8.DecodeRuneInString(m.s[i:])
	return (w > 0 && wordSet.has(before)) != (v > 0 && wordSet.has(after))
}

package regex

import (
	"fmt"
	"math"
)

type compiler struct {
	prog  []inst
	nodes int // emitted so far, copies counted: a copied part may emit nothing
}

func (c *compiler) add(in inst) int {
	c.prog = append(c.prog, in)
	return len(c.prog) - 1
}

func (c *compiler) emit(n *node) error {
	if c.nodes++; c.nodes > maxProg {
		return fmt.Errorf("the expression needs more than %d instructions", maxProg)
	}
	switch n.kind {
	case kSet:
		c.add(inst{op: opSet, set: n.set})
	case kAssert:
		c.add(inst{op: n.op, neg: n.neg})
	case kCat:
		for _, sub := range n.subs {
			if err := c.emit(sub); err != nil {
				return err
			}
		}
	case kAlt:
		return c.alternatives(n.subs)
	case kLook, kAtomic:
		op := opLook
		if n.kind == kAtomic {
			op = opAtomic
		}
		at := c.add(inst{op: op, neg: n.neg})
		if err := c.emit(n.subs[0]); err != nil {
			return err
		}
		c.add(inst{op: opMatch})
		c.prog[at].x = len(c.prog)
	case kRepeat:
		return c.repeat(n)
	}
	return nil
}

func (c *compiler) alternatives(subs []*node) error {
	var jumps []int
	for i, sub := range subs {
		split := -1
		if i < len(subs)-1 {
			split = c.add(inst{op: opSplit, x: len(c.prog) + 1})
		}
		if err := c.emit(sub); err != nil {
			return err
		}
		if split >= 0 {
			jumps = append(jumps, c.add(inst{op: opJump}))
			c.prog[split].y = len(c.prog)
		}
	}
	for _, j := range jumps {
		c.prog[j].x = len(c.prog)
	}
	return nil
}

// repeat emits min copies and then either a loop or the optional rest. A greedy run
// of one set, the common case, is a single instruction.
func (c *compiler) repeat(n *node) error {
	sub := n.subs[0]
	for sub.kind == kCat && len(sub.subs) == 1 {
		sub = sub.subs[0]
	}
	if sub.kind == kSet && !n.lazy {
		c.add(inst{op: opRun, set: sub.set, min: n.min, max: n.max})
		return nil
	}
	for range n.min {
		if err := c.emit(sub); err != nil {
			return err
		}
	}
	if n.max == math.MaxInt32 {
		return c.loop(sub, n.lazy)
	}
	var splits []int
	for range n.max - n.min {
		splits = append(splits, c.split())
		if err := c.emit(sub); err != nil {
			return err
		}
	}
	for _, at := range splits {
		c.leave(at, n.lazy)
	}
	return nil
}

func (c *compiler) loop(sub *node, lazy bool) error {
	if sub.canBeEmpty() {
		return fmt.Errorf("a part that may be empty is repeated without limit")
	}
	at := c.split()
	if err := c.emit(sub); err != nil {
		return err
	}
	c.add(inst{op: opJump, x: at})
	c.leave(at, lazy)
	return nil
}

// split adds a choice whose body follows; leave sets where it goes without the body.
func (c *compiler) split() int {
	next := len(c.prog) + 1
	return c.add(inst{op: opSplit, x: next, y: next})
}

func (c *compiler) leave(at int, lazy bool) {
	if lazy {
		c.prog[at].x = len(c.prog)
	} else {
		c.prog[at].y = len(c.prog)
	}
}

func (n *node) canBeEmpty() bool {
	switch n.kind {
	case kSet:
		return false
	case kRepeat:
		return n.min == 0 || n.subs[0].canBeEmpty()
	case kAtomic:
		return n.subs[0].canBeEmpty()
	case kCat:
		for _, sub := range n.subs {
			if !sub.canBeEmpty() {
				return false
			}
		}
		return true
	case kAlt:
		for _, sub := range n.subs {
			if sub.canBeEmpty() {
				return true
			}
		}
		return false
	}
	return true
}

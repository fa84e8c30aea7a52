package jinja

import "sync"

// renders are renderings that are over, for the sake of their buffers.
var renders = sync.Pool{New: func() any { return new(render) }}

// What a rendering that is over keeps, so that an unusual one does not stay in memory.
const (
	keepBytes = 1 << 16 // of one text
	keepItems = 64      // of texts, scopes and arguments, and values on the stack
)

// recycle forgets everything of the rendering but its empty buffers. What it has returned
// shares nothing with them.
func (r *render) recycle() {
	keep := render{
		globals: emptied(r.globals, 4*keepItems),
		stack:   emptied(r.stack, 4*keepItems),
		spare:   r.spare[:0],
		free:    r.free[:min(len(r.free), keepItems)],
		args:    r.args[:min(len(r.args), keepItems)],
	}
	for _, t := range r.spare {
		if cap(t.b) <= keepBytes && len(keep.spare) < keepItems {
			keep.spare = append(keep.spare, t)
		}
	}
	for _, s := range keep.free {
		s.parent, s.ids, s.vals = nil, s.ids[:0], emptied(s.vals, keepItems)
	}
	for _, a := range keep.args {
		*a = args{}
	}
	*r = keep
	renders.Put(r)
}

// emptied returns s without elements and without what they refer to; nil if it has grown
// beyond most elements.
func emptied(s []Value, most int) []Value {
	if cap(s) > most {
		return nil
	}
	clear(s[:cap(s)])
	return s[:0]
}

func resize(s []Value, n int) []Value {
	if cap(s) < n {
		return make([]Value, n)
	}
	return s[:n]
}

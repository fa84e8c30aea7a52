package jinja

// Segment is a run of rendered text of one origin. Control tokens are to be recognised only
// where all their bytes lie in trusted segments; the text between control tokens is one text
// to the tokenizer, whatever segments it spans.
type Segment struct {
	Text    string
	Trusted bool // written by the template or its author, not by the context
}

// run says that the bytes from the end of the run before up to end have one origin.
type run struct {
	end     int
	trusted bool
}

// marks are the runs of a string of mixed origin: ends ascend, neighbours differ in trust,
// and the last end is the length of the string.
type marks []run

// text is an output under construction: bytes and the runs of their origin.
type text struct {
	b       []byte
	runs    marks
	charged int // bytes that count as allocated already
}

func (t *text) reset() { t.b, t.runs, t.charged = t.b[:0], t.runs[:0], 0 }

// add appends a string of one origin.
func (t *text) add(s string, trusted bool) {
	if s == "" {
		return
	}
	t.b = append(t.b, s...)
	t.mark(trusted)
}

// mark gives the bytes that were appended to b since the last mark their origin.
func (t *text) mark(trusted bool) {
	if n := len(t.runs); n > 0 && t.runs[n-1].trusted == trusted {
		t.runs[n-1].end = len(t.b)
		return
	}
	if len(t.b) > 0 {
		t.runs = append(t.runs, run{len(t.b), trusted})
	}
}

// addString appends the string value v.
func (t *text) addString(v Value) { t.addSub(v, 0, len(v.s)) }

// addSub appends the bytes i to j of the string value v.
func (t *text) addSub(v Value, i, j int) {
	m, mixed := v.ref.(marks)
	if !mixed {
		t.add(v.s[i:j], v.flag&flagTrusted != 0)
		return
	}
	for _, r := range m {
		if r.end <= i {
			continue
		}
		end := min(r.end, j)
		t.add(v.s[i:end], r.trusted)
		if i = end; i >= j {
			return
		}
	}
}

// value returns a string value of what was added, whose text is s. It shares nothing with t.
func (t *text) value(s string) Value {
	v := Value{kind: KindString, s: s}
	switch {
	case len(t.runs) == 0 || len(t.runs) == 1 && t.runs[0].trusted:
		v.flag = flagTrusted
	case len(t.runs) > 1:
		v.ref = append(marks(nil), t.runs...)
	}
	return v
}

// segments cuts the text at its changes of origin.
func (t *text) segments() []Segment {
	all, from := string(t.b), 0
	out := make([]Segment, len(t.runs))
	for i, r := range t.runs {
		out[i] = Segment{all[from:r.end], r.trusted}
		from = r.end
	}
	return out
}

// sub returns the bytes i to j of the string value v with their origin.
func (v Value) sub(i, j int) Value {
	out := Value{kind: KindString, flag: v.flag, s: v.s[i:j]}
	m, mixed := v.ref.(marks)
	if !mixed {
		return out
	}
	var t text
	for _, r := range m {
		if r.end <= i {
			continue
		}
		if t.runs = append(t.runs, run{min(r.end, j) - i, r.trusted}); r.end >= j {
			break
		}
	}
	if len(t.runs) > 1 && i < j {
		out.ref = t.runs
	} else if len(t.runs) == 0 || t.runs[0].trusted || i >= j {
		out.flag |= flagTrusted
	}
	return out
}

// trusted reports whether no byte of the string value v comes from the context.
func (v Value) trusted() bool { return v.flag&flagTrusted != 0 || v.s == "" }

// rewritten returns s as a transformation of v that keeps positions where the lengths are
// equal and both texts are ASCII; otherwise a mixed origin becomes untrusted.
func (v Value) rewritten(s string) Value {
	out := Value{kind: KindString, flag: v.flag, s: s}
	if v.ref != nil && len(s) == len(v.s) && isASCII(s) && isASCII(v.s) {
		out.ref = v.ref
	}
	return out
}

// derived returns s with the trust of v as a whole.
func (v Value) derived(s string) Value {
	return Value{kind: KindString, flag: v.flag, s: s}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

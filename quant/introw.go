package quant

// IntRow is a row of a block type as integers, the form that the int8 mode of matrix
// products works on: element i is Scale[i/Group]*float32(Q[i]) - Min[i/Group], each
// operation rounded to f32, and that is exactly what Dequantize gives. Scale and Min
// are the products that the type defines (d*sc, dmin*m). The buffers belong to
// whoever made the IntRow; its zero value is ready for IntForm.
type IntRow struct {
	Q     []int8    // one integer per element
	Scale []float32 // one per group
	Min   []float32 // one per group; nil where the type has no offset
	Group int       // elements per group, 16 or 32
}

// HasIntForm reports whether d has the form of IntRow: every block type has, no plain
// type has.
func HasIntForm(d DType) bool { return codecOf(d).unpack != nil }

// IntForm fills dst with src, a whole number of blocks of type d, reusing dst's buffers
// where they are large enough, and reports whether d has such a form (see HasIntForm;
// else dst is as it was). The elements are as many as src holds; it panics where src
// ends inside a block. It is safe for concurrent use with different dst.
func IntForm(d DType, dst *IntRow, src []byte) bool {
	c := codecOf(d)
	if c.unpack == nil {
		return false
	}
	elems, bytes := d.BlockElems(), d.BlockBytes()
	checkRow(d, len(src)/bytes*elems, len(src))
	least := dst.Min[:0]
	*dst = IntRow{Q: dst.Q[:0], Scale: dst.Scale[:0], Group: c.group}
	b := blocks.Get().(*block)
	defer blocks.Put(b)
	for ; len(src) > 0; src = src[bytes:] {
		c.unpack(b, src[:bytes])
		dst.Q = append(dst.Q, b.q[:elems]...)
		dst.Scale = append(dst.Scale, b.scale[:elems/c.group]...)
		if c.offset {
			least = append(least, b.min[:elems/c.group]...)
		}
	}
	if c.offset {
		dst.Min = least
	}
	return true
}

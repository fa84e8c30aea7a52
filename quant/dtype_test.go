package quant

import "testing"

func TestTypesHaveNamesAndSizes(t *testing.T) {
	for d := range layouts {
		back, err := ParseDType(d.String())
		if err != nil || back != d || !d.Known() {
			t.Errorf("%v parses as %v: %v", d, back, err)
		}
		if n := d.BlockElems(); d.RowBytes(3*n) != 3*d.BlockBytes() {
			t.Errorf("%v: three blocks take %d bytes", d, d.RowBytes(3*n))
		}
	}
	if d, err := ParseDType("q4_k"); d != Q4_K || err != nil {
		t.Errorf("lower case: %v %v", d, err)
	}
	if d, err := ParseDType("Q9"); err == nil {
		t.Errorf("Q9 is %v", d)
	}
	if DType(4).Known() || DType(4).String() != "DType(4)" {
		t.Errorf("retired type 4 is %v", DType(4))
	}
}

func TestTensorShape(t *testing.T) {
	x := Tensor{Shape: []int{4, 3, 32}}
	if x.Elems() != 384 || x.Cols() != 32 || x.Rows() != 12 {
		t.Errorf("%v: %d elements, %d rows of %d", x.Shape, x.Elems(), x.Rows(), x.Cols())
	}
}

package bounds

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestMulAgainstBig holds the checked product against arbitrary precision, over
// dimensions drawn near the powers of two where a product wraps.
func TestMulAgainstBig(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	limit := big.NewInt(math.MaxInt)
	for range 200_000 {
		dims := make([]int, 1+rng.IntN(5))
		want, over, zero := big.NewInt(1), false, false
		for i := range dims {
			dims[i] = int(uint64(1)<<rng.IntN(63)) - 1 + rng.IntN(3)
			dims[i] = max(dims[i], 0)
			if zero = zero || dims[i] == 0; !zero {
				want.Mul(want, big.NewInt(int64(dims[i])))
				over = over || want.Cmp(limit) > 0
			}
		}
		if zero {
			want.SetInt64(0)
		}
		got, ok := Mul(dims...)
		if ok == over || ok && big.NewInt(int64(got)).Cmp(want) != 0 {
			t.Fatalf("Mul(%v) = %d, %v; want %v, overflow %v", dims, got, ok, want, over)
		}
	}
}

func TestAddAndPad(t *testing.T) {
	if _, ok := Add(math.MaxInt, 1); ok {
		t.Error("Add accepts an overflow")
	}
	if _, ok := Add(-1, 1); ok {
		t.Error("Add accepts a negative number")
	}
	if n, ok := Add(math.MaxInt-1, 1); !ok || n != math.MaxInt {
		t.Errorf("Add to the largest int gives %d, %v", n, ok)
	}
	for _, c := range [][3]int{{0, 32, 0}, {1, 32, 32}, {32, 32, 32}, {33, 8, 40}} {
		if n, ok := Pad(c[0], c[1]); !ok || n != c[2] {
			t.Errorf("Pad(%d, %d) = %d, %v; want %d", c[0], c[1], n, ok, c[2])
		}
	}
	if _, ok := Pad(math.MaxInt, 32); ok {
		t.Error("Pad accepts an overflow")
	}
}

func TestReaderSticksToTheFirstFailure(t *testing.T) {
	r := NewReader("test", []byte{1, 0, 2, 0, 0, 0, 9})
	if a, b := r.U16("a"), r.U32("b"); a != 1 || b != 2 {
		t.Fatalf("read %d, %d", a, b)
	}
	r.U64("long")
	r.U8("byte")
	var e *Error
	if !errors.As(r.Err(), &e) || e.Offset != 6 || e.Field != "long" {
		t.Fatalf("got %v, want the failure of field long at byte 6", r.Err())
	}
}

func TestCountIsBoundByTheBytesLeft(t *testing.T) {
	data := []byte{4, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd'}
	if s := NewReader("test", data).String("s", 4); s != "abcd" {
		t.Errorf("read %q", s)
	}
	for _, c := range []struct {
		limit uint64
		item  int
	}{{3, 1}, {4, 2}} {
		r := NewReader("test", data)
		if n := r.Count("n", c.limit, c.item); n != 0 || r.Err() == nil {
			t.Errorf("limit %d, items of %d bytes: got %d, %v", c.limit, c.item, n, r.Err())
		}
	}
}

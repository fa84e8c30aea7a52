package relayout

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// naive permutes by index arithmetic alone.
func naive(src []byte, dims, perm []int, size int) []byte {
	dst := make([]byte, len(src))
	index := make([]int, len(dims))
	for n := range len(src) / size {
		rest := n
		for i := len(dims) - 1; i >= 0; i-- {
			index[i] = rest % dims[i]
			rest /= dims[i]
		}
		to := 0
		for _, p := range perm {
			to = to*dims[p] + index[p]
		}
		copy(dst[to*size:(to+1)*size], src[n*size:])
	}
	return dst
}

func TestPermuteAndItsInverse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		dims := make([]int, 1+rng.IntN(4))
		n := 1
		for i := range dims {
			dims[i] = 1 + rng.IntN(5)
			n *= dims[i]
		}
		perm, size := rng.Perm(len(dims)), 1+rng.IntN(4)
		src := make([]byte, n*size)
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		dst, back := make([]byte, len(src)), make([]byte, len(src))
		m := Permute(dims, perm)
		m.Copy(dst, src, size)
		if !bytes.Equal(dst, naive(src, dims, perm, size)) {
			t.Fatalf("dims %v, perm %v: wrong order", dims, perm)
		}
		m.Inverse().Copy(back, dst, size)
		if !bytes.Equal(back, src) {
			t.Fatalf("dims %v, perm %v: the way back differs", dims, perm)
		}
		if m.Trivial() && !bytes.Equal(dst, src) {
			t.Fatalf("dims %v, perm %v is called trivial", dims, perm)
		}
	}
}

func TestSlice(t *testing.T) {
	got := []byte("..........")
	Slice(2, 1, 3).Copy(got, []byte("abcdefgh"), 2)
	if string(got) != "......cdef" {
		t.Errorf("got %s", got)
	}
}

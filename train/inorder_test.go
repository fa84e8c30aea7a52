package train

import (
	"errors"
	"iter"
	"runtime"
	"slices"
	"testing"
)

// numbers gives 0 to n-1, with an error in place of every tenth.
func numbers(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			var err error
			if i%10 == 9 {
				err = errTenth
			}
			if !yield(i, err) {
				return
			}
		}
	}
}

var errTenth = errors.New("a tenth")

// TestInOrder: results come in the order of the items whatever the threads, and errors in
// their places; a loop that is left early leaves no goroutine.
func TestInOrder(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, threads := range []int{1, 2, 7} {
		var got, want []int
		for i := range 100 {
			want = append(want, i*i)
			if i%10 == 9 {
				want[i] = -1
			}
		}
		for n, err := range inOrder(numbers(100), threads, func(i int) int {
			for range i % 3 {
				runtime.Gosched()
			}
			return i * i
		}) {
			if err != nil {
				n = -1
			}
			got = append(got, n)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads: %v", threads, got)
		}
		for n := range inOrder(numbers(100), threads, func(i int) int { return i }) {
			if n == 5 {
				break
			}
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

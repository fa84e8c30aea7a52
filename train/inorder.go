package train

import (
	"iter"
	"sync"
)

// inOrder does work on the items of a sequence with a number of threads and gives the
// results in the items' order. An error in place of an item goes through in its turn. in
// runs in a goroutine of its own, at most 2 x threads items ahead; it and the workers
// have ended when the loop over the results has.
func inOrder[In, Out any](in iter.Seq2[In, error], threads int, work func(In) Out) iter.Seq2[Out, error] {
	type task struct {
		item In
		err  error
		out  chan Out // takes one
	}
	return func(yield func(Out, error) bool) {
		todo, order, stop := make(chan task), make(chan task, threads), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(todo)
			defer close(order)
			for item, err := range in {
				t := task{item, err, make(chan Out, 1)}
				select {
				case order <- t:
				case <-stop:
					return
				}
				if err == nil {
					todo <- t
				}
			}
		})
		for range threads {
			wg.Go(func() {
				for t := range todo {
					t.out <- work(t.item)
				}
			})
		}
		defer wg.Wait()
		defer close(stop)
		for t := range order {
			var out Out
			if t.err == nil {
				out = <-t.out
			}
			if !yield(out, t.err) {
				return
			}
		}
	}
}

package optim

import (
	"runtime"
	"sync"
)

// inParts calls f for parts of 0 ... n-1, in as many goroutines as there are processors.
func inParts(n int, f func(from, to int)) {
	parts := min(runtime.GOMAXPROCS(0), n)
	var done sync.WaitGroup
	for i := range parts {
		done.Go(func() { f(n*i/parts, n*(i+1)/parts) })
	}
	done.Wait()
}

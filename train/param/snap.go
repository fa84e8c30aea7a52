package param

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// SnapTo makes the program compute with parameters as quantization would leave them: each
// that is trained is rounded from its Master to the type that types gives it, F32 being the
// Master itself. Its gradient is that of the rounded values, and changes the Master
// (Bengio et al. 2013, the straight-through estimator): quantization-aware training. It
// comes before the first program is built on the Set. Every later change of a Master is to
// be followed by Snap.
func (s *Set) SnapTo(types func(t quant.Tensor) quant.DType) error {
	size := func(p *Param) int {
		return (p.Compute.Rows()*p.Compute.DType.RowBytes(p.Compute.Cols()) + 63) / 64 * 64
	}
	bytes := 0
	for _, p := range s.params {
		if p.Frozen() {
			continue
		}
		if p.Compute.DType, p.Compute.Data = types(p.Compute), bytesOf(p.Master); p.snapped() {
			bytes += size(p)
		}
	}
	s.copies.Free()
	s.bufs = slices.DeleteFunc(s.bufs, func(b *kernels.Buf) bool { return b == s.copies })
	data, err := s.take(bytes)
	if err != nil {
		return err
	}
	for _, p := range s.params {
		if p.snapped() {
			n := size(p)
			p.Compute.Data, data = data[:p.Compute.Rows()*p.Compute.DType.RowBytes(p.Compute.Cols())], data[n:]
		}
	}
	return s.Snap()
}

// snapped reports whether the program computes with values of another type than Master's.
func (p *Param) snapped() bool { return !p.Frozen() && p.Compute.DType != quant.F32 }

// Snap makes every Compute that SnapTo has given a type follow its Master. A value that the
// type cannot hold is an error.
func (s *Set) Snap() error {
	for _, p := range s.params {
		if p.Rounded() != nil || !p.snapped() {
			continue
		}
		if err := p.snap(); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// snap rounds the rows, on all processors.
func (p *Param) snap() error {
	rows, cols, bytes := p.Compute.Rows(), p.Compute.Cols(), p.Compute.DType.RowBytes(p.Compute.Cols())
	errs := make([]error, min(rows, runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for r := rows * i / len(errs); r < rows*(i+1)/len(errs) && errs[i] == nil; r++ {
				errs[i] = quant.Quantize(p.Compute.DType, p.Compute.Data[r*bytes:][:bytes], p.Master[r*cols:][:cols], nil)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

package param

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Set is a model's parameters in file order. It implements quant.Source over what the
// program computes with. One goroutine at a time changes it; Infos and Tensor may be
// called from several.
type Set struct {
	meta   *quant.Meta
	params []*Param
	byName map[string]*Param
	grads  []float32 // all gradients, zeros between them
	bufs   []*kernels.Buf
	copies *kernels.Buf // of bf16

	precision Precision
}

// New returns parameters of zero for a model with the tensors of infos, whose types do
// not matter. meta is kept and must not be changed; the caller closes the Set.
func New(meta *quant.Meta, infos []quant.Tensor, precision Precision) (*Set, error) {
	return build(meta, infos, precision, func(string) bool { return false })
}

// Load returns the parameters of the model in src, widened to f32 masters and rounded to
// the precision. Where frozen (nil = none) says so, and where a tensor holds what can be
// computed, the parameter is src's tensor as it lies: src must outlive the Set then.
func Load(src quant.Source, precision Precision, frozen func(name string) bool) (*Set, error) {
	s, err := build(src.Meta(), src.Infos(), precision, func(name string) bool {
		return computed(name) || frozen != nil && frozen(name)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range s.params {
		if err := p.load(src); err != nil {
			return nil, closing(s, fmt.Errorf("cannot load parameter %q: %w", p.Name, err))
		}
	}
	return s, nil
}

// computed reports whether a tensor is a table of rotary frequencies.
func computed(name string) bool { return strings.HasPrefix(name, "rope_f") }

func closing(s *Set, err error) error {
	_ = s.Close() // gives memory back, which cannot fail
	return err
}

func (p *Param) load(src quant.Source) error {
	t, err := src.Tensor(p.Name)
	switch {
	case err != nil:
		return err
	case p.Frozen():
		p.Compute = t
		return nil
	case !quant.CanDequantize(t.DType):
		return fmt.Errorf("type %v holds no weights", t.DType)
	}
	cols, bytes := t.Cols(), t.DType.RowBytes(t.Cols())
	for r := range t.Rows() {
		quant.Dequantize(t.DType, p.Master[r*cols:][:cols], t.Data[r*bytes:][:bytes])
	}
	p.Round()
	return nil
}

// align is what every parameter's memory begins at a multiple of, in elements: 64 bytes
// of bf16.
const align = 32

func build(meta *quant.Meta, infos []quant.Tensor, precision Precision, frozen func(string) bool) (*Set, error) {
	s := &Set{meta: meta, byName: map[string]*Param{}, precision: precision}
	all, matrices := 0, 0
	for _, t := range infos {
		if s.byName[t.Name] != nil {
			return nil, fmt.Errorf("the model has two tensors %q", t.Name)
		}
		p := &Param{Name: t.Name, Shape: t.Shape, Compute: quant.Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape}}
		s.params = append(s.params, p)
		s.byName[t.Name] = p
		if !frozen(t.Name) {
			all += padded(t)
			if precision == BF16 && isMatrix(t.Name, t.Shape) {
				matrices += padded(t)
			}
		}
	}
	masters, err := s.take(4 * all)
	if err != nil {
		return nil, closing(s, err)
	}
	grads, err := s.take(4 * all)
	if err != nil {
		return nil, closing(s, err)
	}
	rounded, err := s.take(2 * matrices)
	if err != nil {
		return nil, closing(s, err)
	}
	s.copies = s.bufs[len(s.bufs)-1]
	s.grads = floats(grads)
	s.share(floats(masters), rounded, precision, frozen)
	return s, nil
}

func padded(t quant.Tensor) int { return (t.Elems() + align - 1) / align * align }

// take returns zeroed native memory that Close frees.
func (s *Set) take(bytes int) ([]byte, error) {
	b, err := kernels.NewBuf(bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot hold the model's parameters: %w", err)
	}
	s.bufs = append(s.bufs, b)
	return b.Bytes()[:bytes], nil
}

// share cuts the memory into the parameters' parts.
func (s *Set) share(masters []float32, rounded []byte, precision Precision, frozen func(string) bool) {
	grads := s.grads
	for _, p := range s.params {
		if frozen(p.Name) {
			continue
		}
		n, step := p.Elems(), padded(p.Compute)
		p.Master, masters = masters[:n:n], masters[step:]
		p.Grad, grads = grads[:n:n], grads[step:]
		if precision == BF16 && p.Matrix() {
			p.Compute.DType = quant.BF16
			p.Compute.Data, rounded = rounded[:2*n:2*n], rounded[2*step:]
		} else {
			p.Compute.DType = quant.F32
			p.Compute.Data = bytesOf(p.Master)
		}
	}
}

// Params returns the parameters in file order; callers must not change the slice.
func (s *Set) Params() []*Param { return s.params }

// Param returns the parameter of a GGUF name, or nil.
func (s *Set) Param(name string) *Param { return s.byName[name] }

// Gradient returns where the gradient of a parameter accumulates, row-major in its shape;
// nil if the parameter is frozen or absent.
func (s *Set) Gradient(name string) []float32 {
	if p := s.byName[name]; p != nil {
		return p.Grad
	}
	return nil
}

// Precision returns what matrices are computed in, unless SnapTo has chosen their types.
func (s *Set) Precision() Precision { return s.precision }

// Gradients returns the memory of all gradients together, in the order of Params, with
// zeros between them.
func (s *Set) Gradients() []float32 { return s.grads }

// ZeroGrad clears all gradients. An optimizer's step has done so already.
func (s *Set) ZeroGrad() { clear(s.grads) }

// Trainable returns the number of elements that are trained.
func (s *Set) Trainable() int {
	n := 0
	for _, p := range s.params {
		n += len(p.Master)
	}
	return n
}

// Round makes every Compute in bf16 follow a Master that was changed; see Snap.
func (s *Set) Round() {
	for _, p := range s.params {
		p.Round()
	}
}

// Close frees the memory; what the Set gave out ends with it.
func (s *Set) Close() error {
	for _, b := range s.bufs {
		b.Free()
	}
	*s = Set{meta: s.meta}
	return nil
}

func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
func words(b []byte) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2)
}

func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

package engine

import (
	"fmt"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// resident is a source whose tensors have been copied from the file to native memory with
// pages of 2 MiB. Reading mapped pages of 4 KiB costs up to half of the bandwidth where
// the machine is virtual.
type resident struct {
	quant.Source
	tensors map[string]quant.Tensor
	memory  *kernels.Buf
}

// loadWeights copies the tensors of src, which it takes over.
func loadWeights(src quant.Source) (quant.Source, error) {
	offsets, size := layWeights(src.Infos())
	memory, err := kernels.NewBuf(size)
	if err != nil {
		return src, fmt.Errorf("cannot load the weights into memory (--weights map needs none): %w", err)
	}
	r := &resident{Source: src, tensors: map[string]quant.Tensor{}, memory: memory}
	return r, r.copy(offsets)
}

// layWeights gives each tensor a place in one stretch of memory, in the order in which a
// step reads them.
func layWeights(infos []quant.Tensor) (offsets map[string]int, size int) {
	offsets = map[string]int{}
	for _, t := range infos {
		offsets[t.Name] = size
		size += (t.DType.RowBytes(t.Cols())*t.Rows() + 63) &^ 63
	}
	return offsets, size
}

// maker is a source that makes some tensors of what the file holds, in memory that it is
// given and without keeping them; the others it returns as they are mapped.
type maker interface {
	Once(name string, alloc func(n int) ([]byte, error)) (quant.Tensor, error)
}

// copy fills the memory, in the file's order.
func (r *resident) copy(offsets map[string]int) error {
	for _, info := range r.Source.Infos() {
		t, err := r.read(info.Name, r.memory.Bytes()[offsets[info.Name]:])
		if err != nil {
			return err
		}
		r.tensors[t.Name] = t
	}
	return nil
}

// read returns a tensor whose data lie at the beginning of to.
func (r *resident) read(name string, to []byte) (t quant.Tensor, err error) {
	if m, ok := r.Source.(maker); ok {
		t, err = m.Once(name, func(n int) ([]byte, error) { return to[:n], nil })
	} else {
		t, err = r.Source.Tensor(name)
	}
	n := copy(to, t.Data) // onto itself where it was made there
	t.Data = to[:n:n]
	return t, err
}

// Tensor returns the copy.
func (r *resident) Tensor(name string) (quant.Tensor, error) {
	if t, ok := r.tensors[name]; ok {
		return t, nil
	}
	return quant.Tensor{}, fmt.Errorf("%q: %w", name, quant.ErrNoTensor)
}

// Close frees the copies and closes the source.
func (r *resident) Close() error {
	r.memory.Free()
	return r.Source.Close()
}

package quant

// Tensor is a named array as it lies at rest. Shape is outermost dimension first
// (a matrix of O outputs and I inputs is [O, I]); the last dimension is a whole
// number of DType's blocks. Data is little-endian, row-major, read-only, and valid
// until the Source that gave it is closed.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Elems returns the number of elements, the product of Shape.
func (t Tensor) Elems() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Cols returns the last dimension, the length of a row.
func (t Tensor) Cols() int { return t.Shape[len(t.Shape)-1] }

// Rows returns the number of rows: the product of all dimensions but the last.
func (t Tensor) Rows() int { return t.Elems() / t.Cols() }

// Source is an opened model at rest, whatever its file format. Names of tensors
// and keys of metadata are GGUF's ("blk.0.attn_q.weight", "llama.block_count"),
// so the engine knows one vocabulary of names only. It is safe for concurrent use;
// Close ends the life of every Tensor's Data.
type Source interface {
	// Meta returns the metadata; callers must not change it.
	Meta() *Meta
	// Infos lists the tensors in file order, with Data nil.
	Infos() []Tensor
	// Tensor returns the named tensor with its Data. An absent name is an error
	// that wraps ErrNoTensor.
	Tensor(name string) (Tensor, error)
	Close() error
}

// Releaser is a Source that can give back the memory of its tensors before Close. Data
// handed out before is then no longer valid; Tensor may be called again.
type Releaser interface{ Release() }

package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ingot-llm/ingot/quant/bounds"
)

// Write writes a file of the tensors, whose Data is not looked at, in their order:
// data(i, w) writes the bytes of tensor i, which must be exactly those of its type
// and shape. The first tensor's bytes begin at a multiple of 64.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string, data func(i int, w io.Writer) error) error {
	head, err := appendHeader(nil, tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for i, t := range tensors {
		c := &counter{w: w}
		if err := data(i, c); err != nil {
			return fmt.Errorf("cannot write tensor %q: %w", t.Name, err)
		}
		if want, _ := t.Bytes(); c.n != want {
			return fmt.Errorf("cannot write tensor %q: got %d bytes for %s of shape %v, which has %d", t.Name, c.n, t.DType, t.Shape, want)
		}
	}
	return nil
}

// Bytes returns how many bytes the tensor takes by its type and shape.
func (t Tensor) Bytes() (int, error) {
	d, ok := dtypes[t.DType]
	n, fits := bounds.Mul(append([]int{d.bytes}, t.Shape...)...)
	if !ok || !fits {
		return 0, fmt.Errorf("tensor %q of type %q and shape %v has no size", t.Name, t.DType, t.Shape)
	}
	return n, nil
}

// counter passes bytes on and counts them.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += n
	return n, err
}

// appendHeader appends the length and the JSON of a header, padded with spaces.
func appendHeader(b []byte, tensors []Tensor, metadata map[string]string) ([]byte, error) {
	j := []byte{'{'}
	if metadata != nil {
		m, err := json.Marshal(metadata)
		if err != nil {
			return nil, err
		}
		j = append(append(j, `"__metadata__":`...), m...)
	}
	at := 0
	for _, t := range tensors {
		n, err := t.Bytes()
		if err != nil {
			return nil, err
		}
		if len(j) > 1 {
			j = append(j, ',')
		}
		if j, err = appendEntry(j, t, at, at+n); err != nil {
			return nil, err
		}
		at += n
	}
	j = append(j, '}')
	for (8+len(j))%64 != 0 {
		j = append(j, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(j))), j...), nil
}

func appendEntry(j []byte, t Tensor, begin, end int) ([]byte, error) {
	name, err := json.Marshal(t.Name)
	if err != nil {
		return nil, err
	}
	shape, err := json.Marshal(append([]int{}, t.Shape...))
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(j, `%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, t.DType, shape, begin, end), nil
}

// Shards cuts the tensors into runs of at most limit bytes each (a larger tensor
// makes a run of its own), as [from, to) indices. A limit of 0 gives one run.
func Shards(tensors []Tensor, limit int) ([][2]int, error) {
	runs, size := [][2]int{{0, 0}}, 0
	for i, t := range tensors {
		n, err := t.Bytes()
		if err != nil {
			return nil, err
		}
		if limit > 0 && size > 0 && size+n > limit {
			runs = append(runs, [2]int{i, i})
			size = 0
		}
		size += n
		runs[len(runs)-1][1] = i + 1
	}
	return runs, nil
}

// ShardName returns the name of file no (from 1) of a model's count files.
func ShardName(no, count int) string {
	if count == 1 {
		return SingleName
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", no, count)
}

// Index returns the text of model.safetensors.index.json for tensors that lie in the
// runs that Shards gave.
func Index(tensors []Tensor, runs [][2]int) ([]byte, error) {
	weights, total := map[string]string{}, 0
	for no, run := range runs {
		for _, t := range tensors[run[0]:run[1]] {
			n, err := t.Bytes()
			if err != nil {
				return nil, err
			}
			weights[t.Name] = ShardName(no+1, len(runs))
			total += n
		}
	}
	return json.MarshalIndent(map[string]any{
		"metadata":   map[string]int{"total_size": total},
		"weight_map": weights,
	}, "", "  ")
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

package kernels

import (
	"math/rand/v2"
	"testing"
)

// FuzzBatch: whatever a batch's arrays hold, it is refused or it runs; the reference,
// whose every access Go checks, stands for the kernels, whose accesses nobody checks.
func FuzzBatch(f *testing.F) {
	random := rand.New(rand.NewPCG(61, 62))
	positions := randomF32(random, 9, 16)
	p := attentionProbe(random, KVQ8_0, []int{8})
	p.build = func(b *Builder, x Value) Value {
		x = b.Add(b.View(x, 0, 16), b.EmbedPositions(positions), 1)
		y := b.Attention(0, x, x, x, AttentionArgs{Heads: 2, KVHeads: 2, KDim: 8, VDim: 8, Scale: 1, Window: 3})
		y = b.Add(y, b.Attention(1, x, x, x, AttentionArgs{Heads: 2, KVHeads: 2, KDim: 8, VDim: 8, Scale: 1, Bidirectional: true}), 1)
		b.Pool(y, PoolMean)
		return b.Rows(y)
	}
	r, err := NewRunner(p.program(), Reference, Limits{Tokens: 8, LogitRows: 4, Seqs: 3, Blocks: 3})
	if err != nil {
		f.Fatal(err)
	}
	for _, seqs := range [][]int{{8}, {3, 5}, {1, 1, 1}, {9}} {
		b := wholeBatch(seqs)
		b.LogitRows = b.LogitRows[:min(4, len(b.LogitRows))]
		f.Add(writeBatch(&b))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := readBatch(data)
		if r.Run(b) == nil {
			if out, rows, width := r.Output(); len(out) != rows*width || rows != len(b.LogitRows) {
				t.Errorf("%d rows of %d in %d elements", rows, width, len(out))
			}
		}
	})
}

func arraysOf(b *Batch) []*[]int32 {
	return []*[]int32{&b.Tokens, &b.Positions, &b.Slots, &b.RowStart, &b.SeqLen, &b.TableStart, &b.Tables, &b.LogitRows}
}

// writeBatch writes each array as its length and its entries, a byte each; -1 is 255.
func writeBatch(b *Batch) (data []byte) {
	for _, a := range arraysOf(b) {
		data = append(data, byte(len(*a)))
		for _, v := range *a {
			data = append(data, byte(v))
		}
	}
	return data
}

// readBatch reads them back; bytes from 128 on are spread over all of int32.
func readBatch(data []byte) *Batch {
	b := &Batch{}
	for _, a := range arraysOf(b) {
		if len(data) == 0 {
			break
		}
		n := min(int(data[0]), len(data)-1)
		for _, v := range data[1 : 1+n] {
			value := int32(v)
			if v >= 128 {
				value = int32(int8(v)) << (v % 25)
			}
			*a = append(*a, value)
		}
		data = data[1+n:]
	}
	return b
}

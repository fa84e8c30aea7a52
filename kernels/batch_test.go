package kernels

import (
	"strings"
	"testing"
)

// A batch out of bounds is refused by the name of the array.
func TestBatchIsChecked(t *testing.T) {
	limits := bounds{Limits: Limits{Tokens: 20, LogitRows: 20, Seqs: 2, Blocks: 4}, vocab: 30, positions: 25, cached: true}
	good := func() *Batch { b := wholeBatch([]int{17, 2}); return &b }
	if err := good().check(&limits); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(b *Batch){
		"21 tokens":  func(b *Batch) { *b = wholeBatch([]int{19, 2}) },
		"of 0 toke":  func(b *Batch) { *b = Batch{RowStart: []int32{0}, TableStart: []int32{0}} },
		"3 sequenc":  func(b *Batch) { *b = wholeBatch([]int{1, 1, 1}) },
		"rows of lo": func(b *Batch) { b.LogitRows = make([]int32, 21) },
		"Tokens[3]":  func(b *Batch) { b.Tokens[3] = 30 },
		"Tokens[4]":  func(b *Batch) { b.Tokens[4] = -1 },
		"Positions":  func(b *Batch) { b.Positions = b.Positions[1:] },
		"Positions[": func(b *Batch) { b.Positions[2] = 17 },
		"RowStart[":  func(b *Batch) { b.RowStart = []int32{0, 20, 19} },
		"RowStart":   func(b *Batch) { b.RowStart[2] = 18 },
		"no rows":    func(b *Batch) { b.RowStart[1] = 0 },
		"LogitRows[": func(b *Batch) { b.LogitRows[1] = 19 },
		"Slots[18]":  func(b *Batch) { b.Slots[18] = 64 },
		"Slots":      func(b *Batch) { b.Slots = nil },
		"TableStart": func(b *Batch) { b.TableStart[0] = 1 },
		"Tables[0]":  func(b *Batch) { b.Tables[0] = 4 },
		"Tables[1]":  func(b *Batch) { b.Tables[1] = -1 },
		"of 2 block": func(b *Batch) { b.SeqLen[0] = 33 },
	} {
		b := good()
		spoil(b)
		if err := b.check(&limits); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	b := good()
	b.SeqLen[0], b.Positions[16] = 26, 25
	if err := b.check(&limits); err == nil || !strings.Contains(err.Error(), "want 0 to 24") {
		t.Errorf("a position beyond the learned ones: error %v", err)
	}
}

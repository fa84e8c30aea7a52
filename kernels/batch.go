package kernels

import "fmt"

// Batch is one step's input as flat arrays: T tokens of S sequences, whose rows lie
// one after another. Whoever fills it keeps it; Runner.Run copies what it needs.
// Programs without attention need no Slots and no Tables.
type Batch struct {
	Tokens     []int32 // [T] token ids
	Positions  []int32 // [T] position of each row in its sequence
	Slots      []int32 // [T] block * BlockTokens + offset where its K and V go
	RowStart   []int32 // [S+1] first row of each sequence
	SeqLen     []int32 // [S] keys of the sequence: its last position + 1
	TableStart []int32 // [S+1] first entry of each sequence in Tables
	Tables     []int32 // block ids in order of position
	LogitRows  []int32 // [R] rows whose logits are wanted
	Targets    []int32 // [R] the token that follows each of them: of programs with a loss
	Adapters   []int32 // [S] the adapter of each sequence from 1, 0 for none; absent: none for all
}

// bounds are the values that a program and its limits allow in a batch.
type bounds struct {
	Limits
	vocab, positions int // rows of the embedding tables, -1 without one
	classes          int // columns of the loss's logits, 0 without a loss
	adapters         int // that sequences may take
	cached           bool
}

// check returns an error that names the first array that does not fit.
func (b *Batch) check(l *bounds) error {
	t, s := len(b.Tokens), len(b.SeqLen)
	if t < 1 || t > l.Tokens || s < 1 || s > l.Seqs || len(b.LogitRows) > l.LogitRows {
		return fmt.Errorf("a batch of %d tokens, %d sequences and %d rows of logits, where 1 to %d, 1 to %d and at most %d are planned",
			t, s, len(b.LogitRows), l.Tokens, l.Seqs, l.LogitRows)
	}
	if err := sameLength("Positions", b.Positions, t); err != nil {
		return err
	}
	if err := ascending("RowStart", b.RowStart, s, t); err != nil {
		return err
	}
	if err := within("LogitRows", b.LogitRows, t); err != nil {
		return err
	}
	if l.classes > 0 {
		if err := sameLength("Targets", b.Targets, len(b.LogitRows)); err != nil {
			return err
		}
		if err := within("Targets", b.Targets, l.classes); err != nil {
			return err
		}
	}
	if len(b.Adapters) > 0 {
		if err := sameLength("Adapters", b.Adapters, s); err != nil {
			return err
		}
	}
	if err := within("Adapters", b.Adapters, l.adapters+1); err != nil {
		return err
	}
	if err := b.checkTokens(l); err != nil {
		return err
	}
	if !l.cached {
		return nil
	}
	return b.checkCache(l)
}

func (b *Batch) checkTokens(l *bounds) error {
	if l.vocab >= 0 {
		if err := within("Tokens", b.Tokens, l.vocab); err != nil {
			return err
		}
	}
	for s, n := range b.SeqLen {
		first, end := b.RowStart[s], b.RowStart[s+1]
		if first == end {
			return fmt.Errorf("batch: sequence %d has no rows", s)
		}
		if l.positions >= 0 {
			n = min(n, int32(l.positions))
		}
		if err := within("Positions", b.Positions[first:end], int(n)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) checkCache(l *bounds) error {
	s := len(b.SeqLen)
	if err := sameLength("Slots", b.Slots, len(b.Tokens)); err != nil {
		return err
	}
	if err := within("Slots", b.Slots, l.Blocks*BlockTokens); err != nil {
		return err
	}
	if err := ascending("TableStart", b.TableStart, s, len(b.Tables)); err != nil {
		return err
	}
	if err := within("Tables", b.Tables, l.Blocks); err != nil {
		return err
	}
	for i, n := range b.SeqLen {
		if have := b.TableStart[i+1] - b.TableStart[i]; int64(have)*BlockTokens < int64(n) {
			return fmt.Errorf("batch: sequence %d has %d keys but a table of %d blocks", i, n, have)
		}
	}
	return nil
}

func sameLength(name string, values []int32, n int) error {
	if len(values) != n {
		return fmt.Errorf("batch: %s has %d entries, want %d", name, len(values), n)
	}
	return nil
}

func within(name string, values []int32, n int) error {
	for i, v := range values {
		if v < 0 || int(v) >= n {
			return fmt.Errorf("batch: %s[%d] is %d, want 0 to %d", name, i, v, n-1)
		}
	}
	return nil
}

// ascending checks that starts are n+1 indices from 0 to total, none below the last.
func ascending(name string, starts []int32, n, total int) error {
	if err := sameLength(name, starts, n+1); err != nil {
		return err
	}
	if starts[0] != 0 || int(starts[n]) != total {
		return fmt.Errorf("batch: %s goes from %d to %d, want 0 to %d", name, starts[0], starts[n], total)
	}
	for i := range n {
		if starts[i+1] < starts[i] {
			return fmt.Errorf("batch: %s[%d] is %d, below %d before it", name, i+1, starts[i+1], starts[i])
		}
	}
	return nil
}

package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// allKinds returns metadata with a value and an array of every type.
func allKinds() *quant.Meta {
	m := &quant.Meta{}
	m.Set("general.architecture", "llama")
	for i, v := range []any{
		uint8(200), int8(-3), uint16(60_000), int16(-300), uint32(4e9), int32(-70_000), uint64(1 << 63), int64(-1 << 62),
		float32(1.5), math.Pi, true, "żółw",
		[]uint8{1, 255}, []int8{-1, 1}, []uint16{7}, []int16{-7, 8}, []uint32{9, 8}, []int32{-9}, []uint64{1 << 60}, []int64{-5, 5},
		[]float32{0.25, -1}, []float64{1e300}, []bool{true, false, true}, []string{"", "a", "\xff\xfe"}, []string{}, []int32{},
	} {
		m.Set(fmt.Sprintf("test.value%02d", i), v)
	}
	return m
}

func smallTensors() []quant.Tensor {
	fill := func(n int, seed byte) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i)*7 + seed
		}
		return b
	}
	return []quant.Tensor{
		{Name: "token_embd.weight", DType: quant.F32, Shape: []int{3, 4}, Data: fill(48, 1)},
		{Name: "blk.0.attn_q.weight", DType: quant.Q4_0, Shape: []int{2, 64}, Data: fill(72, 2)},
		{Name: "blk.0.ffn_up_exps.weight", DType: quant.F16, Shape: []int{2, 3, 5}, Data: fill(60, 3)},
		{Name: "output_norm.weight", DType: quant.F32, Shape: []int{4}, Data: fill(16, 4)},
	}
}

// write returns a file of the tensors with their Data.
func write(t testing.TB, meta *quant.Meta, tensors []quant.Tensor) []byte {
	t.Helper()
	var buf bytes.Buffer
	err := Write(&buf, meta, tensors, func(i int, w io.Writer) error { _, err := w.Write(tensors[i].Data); return err })
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// save writes data to a file of that name in a fresh folder.
func save(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func equalSource(t *testing.T, src quant.Source, meta *quant.Meta, tensors []quant.Tensor) {
	t.Helper()
	if !reflect.DeepEqual(src.Meta().Keys(), meta.Keys()) {
		t.Fatalf("keys %q, want %q", src.Meta().Keys(), meta.Keys())
	}
	for _, k := range meta.Keys() {
		if !reflect.DeepEqual(src.Meta().Get(k), meta.Get(k)) {
			t.Errorf("%s: %#v, want %#v", k, src.Meta().Get(k), meta.Get(k))
		}
	}
	if len(src.Infos()) != len(tensors) {
		t.Fatalf("%d tensors, want %d", len(src.Infos()), len(tensors))
	}
	for i, want := range tensors {
		got, err := src.Tensor(want.Name)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", want.Name, got, err)
		}
		if info := src.Infos()[i]; info.Name != want.Name || info.Data != nil {
			t.Errorf("info %d is %+v", i, info)
		}
	}
}

func TestReadBackWhatWasWritten(t *testing.T) {
	meta, tensors := allKinds(), smallTensors()
	data := write(t, meta, tensors)
	if size, err := Size(meta, tensors); err != nil || size != len(data) {
		t.Errorf("Size gives %d, %v; %d bytes were written", size, err, len(data))
	}
	src, err := Open(save(t, t.TempDir(), "m.gguf", data))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	equalSource(t, src, meta, tensors)
	if _, err := src.Tensor("absent"); !errors.Is(err, quant.ErrNoTensor) {
		t.Errorf("an absent tensor gives %v", err)
	}
}

func TestVersion2AndAlignment(t *testing.T) {
	meta := &quant.Meta{}
	meta.Set("general.architecture", "llama")
	tensors := smallTensors()
	data := write(t, meta, tensors)
	data[4] = 2
	if _, err := parse(data); err != nil {
		t.Errorf("version 2: %v", err)
	}
	for _, align := range []any{uint32(0), uint32(3), uint32(4), uint32(48), uint32(1 << 21), uint32(1 << 31), "32", uint64(32)} {
		b := []byte(magic + "\x03\x00\x00\x00" + strings.Repeat("\x00", 8) + "\x01" + strings.Repeat("\x00", 7))
		b, err := appendValue(appendString(b, alignmentKey), align)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(b); err == nil {
			t.Errorf("alignment %v is accepted", align)
		}
	}
}

func TestSplitFiles(t *testing.T) {
	tensors := smallTensors()
	part := func(no int, ts []quant.Tensor, change func(*quant.Meta)) []byte {
		m := &quant.Meta{}
		if no == 0 {
			m.Set("general.architecture", "llama")
		}
		m.Set(splitNo, uint16(no))
		m.Set(splitCount, uint16(2))
		m.Set(splitTensors, int32(4))
		if change != nil {
			change(m)
		}
		return write(t, m, ts)
	}
	dir := t.TempDir()
	first := save(t, dir, SplitName("m", 1, 2), part(0, tensors[:3], nil))
	if _, err := Open(first); err == nil {
		t.Error("a split model opens without its second file")
	}
	second := save(t, dir, SplitName("m", 2, 2), part(1, tensors[3:], nil))
	src, err := Open(first)
	if err != nil {
		t.Fatal(err)
	}
	meta := &quant.Meta{}
	meta.Set("general.architecture", "llama")
	equalSource(t, src, meta, tensors)
	src.Close()

	if _, err := Open(second); err == nil || !strings.Contains(err.Error(), SplitName("m", 1, 2)) {
		t.Errorf("opening the second file gives %v, want the first's name", err)
	}
	for name, data := range map[string][]byte{
		"a tensor twice":    part(1, tensors[2:3], nil),
		"a tensor too few":  part(1, nil, nil),
		"the wrong number":  part(1, tensors[3:], func(m *quant.Meta) { m.Set(splitNo, uint16(0)) }),
		"the wrong count":   part(1, tensors[3:], func(m *quant.Meta) { m.Set(splitCount, uint16(3)) }),
		"a truncated split": part(1, tensors[3:], nil)[:100],
	} {
		save(t, dir, SplitName("m", 2, 2), data)
		if _, err := Open(first); err == nil {
			t.Errorf("a split model opens with %s", name)
		}
	}
	if _, err := Open(save(t, dir, "other.gguf", part(0, tensors[:3], nil))); err == nil {
		t.Error("a split file opens under a name that has no number")
	}
}

// malformed fails the test unless data is refused with a typed error.
func malformed(t *testing.T, what string, data []byte) {
	t.Helper()
	_, err := parse(data)
	var e *bounds.Error
	if !errors.As(err, &e) || e.Field == "" {
		t.Errorf("%s: got %v, want a *bounds.Error", what, err)
	}
}

// TestCutAnywhere cuts a file at every byte before the end of its last tensor.
func TestCutAnywhere(t *testing.T) {
	meta, tensors := allKinds(), smallTensors()
	data := write(t, meta, tensors)
	last := padded(tensorBytes(tensors[3])) - tensorBytes(tensors[3])
	for n := range len(data) - last {
		malformed(t, fmt.Sprintf("cut at %d of %d", n, len(data)), data[:n:n])
	}
	if _, err := parse(data[:len(data)-last]); err != nil {
		t.Errorf("without the last padding: %v", err)
	}
}

// TestHostileNumbers puts boundary values into every count, length, dimension and
// offset of a file.
func TestHostileNumbers(t *testing.T) {
	meta := &quant.Meta{}
	meta.Set("general.architecture", "llama")
	meta.Set("test.array", []int32{1, 2, 3})
	meta.Set("test.strings", []string{"a", "b"})
	tensors := smallTensors()[:2]
	data := write(t, meta, tensors)
	find := func(s string) int {
		i := bytes.Index(data, []byte(s))
		if i < 0 {
			t.Fatalf("no %q in the file", s)
		}
		return i + len(s)
	}
	fields := map[string]int{
		"tensor count": 8, "key count": 16,
		"key length":      find("general.architecture") - len("general.architecture") - 8,
		"string length":   find("general.architecture") + 4,
		"array length":    find("test.array") + 8,
		"strings length":  find("test.strings") + 8,
		"element length":  find("test.strings") + 16,
		"tensor name":     find("token_embd.weight") - len("token_embd.weight") - 8,
		"first dimension": find("token_embd.weight") + 4,
		"last dimension":  find("token_embd.weight") + 12,
		"offset":          find("token_embd.weight") + 24,
		"second offset":   find("blk.0.attn_q.weight") + 24,
	}
	values := []uint64{
		0, 1, 31, 33, 1 << 8, 1<<16 - 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 61, 1<<62 + 1, 1<<63 - 1, 1 << 63, math.MaxUint64 - 31, math.MaxUint64,
	}
	for name, at := range fields {
		for _, v := range values {
			bad := bytes.Clone(data)
			if binary.LittleEndian.Uint64(bad[at:]) == v {
				continue
			}
			binary.LittleEndian.PutUint64(bad[at:], v)
			if name == "tensor count" && v < uint64(len(tensors)) {
				continue // a file of fewer tensors, whose end is not looked at
			}
			malformed(t, fmt.Sprintf("%s = %d", name, v), bad)
		}
	}
	for _, c := range []struct {
		name string
		at   int
		bad  []uint32
	}{
		{"version", 4, []uint32{0, 1, 4, 3 << 24, 1 << 31}},
		{"value type", find("general.architecture"), []uint32{9, 13, 1 << 31}},
		{"element type", find("test.array") + 4, []uint32{9, 13, 1 << 31}},
		{"dimension count", find("token_embd.weight"), []uint32{0, 5, 1 << 31}},
		{"tensor type", find("token_embd.weight") + 20, []uint32{4, 5, 31, 99, 1 << 31}},
	} {
		for _, v := range c.bad {
			bad := bytes.Clone(data)
			binary.LittleEndian.PutUint32(bad[c.at:], v)
			malformed(t, fmt.Sprintf("%s = %d", c.name, v), bad)
		}
	}
}

// TestProductsThatWrap gives shapes whose product or byte count wraps to something
// small (the class of CVE-2025-53630 and its successors).
func TestProductsThatWrap(t *testing.T) {
	for _, shape := range [][]int{
		{1 << 32, 1 << 32}, {1 << 21, 1 << 21, 1 << 21, 2}, {1 << 62, 4}, {math.MaxInt / 32 * 32}, {1 << 40, 1 << 24}, {1<<58 + 1, 32},
	} {
		for _, d := range []quant.DType{quant.F32, quant.F64, quant.Q4_0, quant.Q6_K} {
			b := []byte(magic + "\x03\x00\x00\x00\x01" + strings.Repeat("\x00", 15))
			b = appendString(b, "t")
			b = binary.LittleEndian.AppendUint32(b, uint32(len(shape)))
			for i := range shape {
				b = binary.LittleEndian.AppendUint64(b, uint64(shape[len(shape)-1-i]))
			}
			b = binary.LittleEndian.AppendUint32(b, uint32(d))
			b = append(b, make([]byte, 8+256)...)
			malformed(t, fmt.Sprintf("%v %v", d, shape), b)
		}
	}
}

func TestDuplicatesAndNames(t *testing.T) {
	twice := smallTensors()
	twice[1].Name = twice[0].Name
	malformed(t, "a tensor twice", write(t, &quant.Meta{}, twice))
	twice[1].Name = "\xff"
	malformed(t, "a name that is not UTF-8", write(t, &quant.Meta{}, twice))
	twice[1].Name = ""
	malformed(t, "an empty name", write(t, &quant.Meta{}, twice))
	m := &quant.Meta{}
	m.Set("aa", int32(1))
	m.Set("ab", int32(1))
	malformed(t, "a key twice", bytes.Replace(write(t, m, nil), []byte("ab"), []byte("aa"), 1))
	m.Set("ab", "\xff")
	malformed(t, "a string that is not UTF-8", write(t, m, nil))
}

// TestLongStrings: a tokenizer.json may be longer than any other string.
func TestLongStrings(t *testing.T) {
	long := strings.Repeat("x", maxString+1)
	for key, ok := range map[string]bool{tokenizerKey: true, "general.name": false} {
		m := &quant.Meta{}
		m.Set(key, long)
		if _, err := parse(write(t, m, nil)); (err == nil) != ok {
			t.Errorf("%s of %d bytes gives %v", key, len(long), err)
		}
	}
}

// TestManyNames: the check for duplicates is not quadratic.
func TestManyNames(t *testing.T) {
	tensors := make([]quant.Tensor, maxTensors)
	for i := range tensors {
		tensors[i] = quant.Tensor{Name: fmt.Sprintf("t%d", i), DType: quant.F32, Shape: []int{1}, Data: make([]byte, 4)}
	}
	data := write(t, &quant.Meta{}, tensors)
	start := time.Now()
	if _, err := parse(data); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("%d tensors took %v", maxTensors, d)
	}
}

func TestWriteRefuses(t *testing.T) {
	m := &quant.Meta{}
	m.Set("k", struct{}{})
	if err := Write(io.Discard, m, nil, nil); err == nil {
		t.Error("a value without a GGUF type is written")
	}
	short := func(_ int, w io.Writer) error { _, err := w.Write([]byte{1}); return err }
	if err := Write(io.Discard, &quant.Meta{}, smallTensors()[:1], short); err == nil {
		t.Error("a tensor of too few bytes is written")
	}
	boom := errors.New("boom")
	if err := Write(failing{boom}, allKinds(), nil, nil); !errors.Is(err, boom) {
		t.Errorf("a failing writer gives %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestSharedVocabularies opens files that llama.cpp wrote.
func TestSharedVocabularies(t *testing.T) {
	dir := quanttest.Shared(t, "data", "tokenizers", "ggml-vocab")
	files, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, path := range files {
		src, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			continue
		}
		if n := len(src.Meta().Strings("tokenizer.ggml.tokens")); n < 10_000 {
			t.Errorf("%s has %d tokens", filepath.Base(path), n)
		}
		if len(src.Infos()) != 0 {
			t.Errorf("%s has %d tensors", filepath.Base(path), len(src.Infos()))
		}
		var back bytes.Buffer
		if err := Write(&back, src.Meta(), nil, nil); err != nil {
			t.Error(err)
		}
		raw, _ := os.ReadFile(path)
		if n := min(len(raw), back.Len()); !bytes.Equal(raw[8:n], back.Bytes()[8:n]) {
			t.Errorf("%s is written back with other bytes", filepath.Base(path))
		}
		src.Close()
	}
}

func FuzzParse(f *testing.F) {
	f.Add(write(f, allKinds(), smallTensors()))
	f.Add(write(f, &quant.Meta{}, nil))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil {
			var e *bounds.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no *bounds.Error", err)
			}
			return
		}
		for _, x := range c.tensors {
			if len(x.Data) != tensorBytes(x) {
				t.Fatalf("%s has %d bytes for %v %v", x.Name, len(x.Data), x.DType, x.Shape)
			}
		}
		again, err := parse(write(t, c.meta, c.tensors))
		if err != nil {
			t.Fatalf("written back: %v", err)
		}
		if len(again.tensors) != len(c.tensors) || !reflect.DeepEqual(again.tensors, c.tensors) {
			t.Fatal("written back, the tensors differ")
		}
	})
}

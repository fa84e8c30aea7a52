package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

func sample() []Tensor {
	return []Tensor{
		{Name: "b", DType: "F32", Shape: []int{2, 3}, Data: []byte("0123456789abcdefghijklmn")},
		{Name: "a \"quoted\" \\ żółw \u2028", DType: "BF16", Shape: []int{3}, Data: []byte("ABCDEF")},
		{Name: "empty", DType: "U8", Shape: []int{0, 5}, Data: []byte{}},
		{Name: "scalar", DType: "I64", Shape: []int{}, Data: []byte("01234567")},
	}
}

func write(t testing.TB, tensors []Tensor, metadata map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	err := Write(&buf, tensors, metadata, func(i int, w io.Writer) error { _, err := w.Write(tensors[i].Data); return err })
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// file returns a file with that header and n bytes of tensors.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func TestReadBackWhatWasWritten(t *testing.T) {
	for _, metadata := range []map[string]string{nil, {}, {"format": "pt", "k\n": "<v>"}} {
		got, m, err := parse(write(t, sample(), metadata))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, sample()) || !reflect.DeepEqual(m, metadata) {
			t.Errorf("got %v with %v", got, m)
		}
	}
	if got, _, err := parse(write(t, nil, nil)); err != nil || len(got) != 0 {
		t.Errorf("a file without tensors gives %v, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	entry := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"t":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	two := func(a, b string) string {
		return fmt.Sprintf(`{"a":{"dtype":"U8","shape":[4],"data_offsets":%s},"b":{"dtype":"U8","shape":[4],"data_offsets":%s}}`, a, b)
	}
	for name, data := range map[string][]byte{
		"nothing":              {},
		"seven bytes":          make([]byte, 7),
		"an empty header":      file("", 0),
		"a header too long":    binary.LittleEndian.AppendUint64(nil, maxHeader+1),
		"a length of -1":       binary.LittleEndian.AppendUint64(nil, 1<<64-1),
		"no object":            file(`[]`, 0),
		"leading space":        file(` {}`, 0),
		"trailing bytes":       file(`{}x`, 0),
		"a trailing NUL":       file("{}\x00", 0),
		"a tail of tensors":    file(`{}`, 1),
		"an unknown dtype":     file(entry(`"F31"`, "[1]", "[0,4]"), 4),
		"an unknown field":     file(`{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1),
		"no shape":             file(`{"t":{"dtype":"U8","data_offsets":[0,1]}}`, 1),
		"no offsets":           file(`{"t":{"dtype":"U8","shape":[1]}}`, 1),
		"a shape that lies":    file(entry(`"F32"`, "[2]", "[0,4]"), 4),
		"offsets turned round": file(entry(`"U8"`, "[1]", "[1,0]"), 1),
		"three offsets":        file(entry(`"U8"`, "[1]", "[0,1,2]"), 1),
		"nine dimensions":      file(entry(`"U8"`, "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1),
		"a product that wraps": file(entry(`"U8"`, "[4294967296,4294967296]", "[0,0]"), 0),
		"a negative dimension": file(entry(`"U8"`, "[-1]", "[0,1]"), 1),
		"a fraction":           file(entry(`"U8"`, "[1.0]", "[0,1]"), 1),
		"a leading zero":       file(entry(`"U8"`, "[01]", "[0,1]"), 1),
		"a huge number":        file(entry(`"U8"`, "[99999999999999999999]", "[0,1]"), 1),
		"a bare comma":         file(entry(`"U8"`, "[1,]", "[0,1]"), 1),
		"a hole":               file(two("[0,4]", "[5,9]"), 9),
		"an overlap":           file(two("[0,4]", "[3,7]"), 7),
		"passing the end":      file(two("[0,4]", "[4,8]"), 7),
		"beginning late":       file(entry(`"U8"`, "[1]", "[1,2]"), 2),
		"a name twice":         file(`{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0),
		"a field twice":        file(`{"t":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0),
		"metadata of numbers":  file(`{"__metadata__":{"a":1}}`, 0),
		"metadata nested":      file(`{"__metadata__":{"a":{}}}`, 0),
		"not UTF-8":            file("{\"\xff\":{}}", 0),
		"half a surrogate":     file(`{"__metadata__":{"a":"\ud800"}}`, 0),
		"a wrong surrogate":    file(`{"__metadata__":{"a":"\ud800\u0041"}}`, 0),
		"an unknown escape":    file(`{"__metadata__":{"a":"\x"}}`, 0),
		"a control character":  file("{\"__metadata__\":{\"a\":\"\n\"}}", 0),
		"an endless string":    file(`{"a`, 0),
		"an endless escape":    file(`{"a\`, 0),
		"a short \\u":          file(`{"a\u00`, 0),
		"a deep header":        file(strings.Repeat(`{"a":`, 1_000_000), 0),
		"deep brackets":        file(`{"t":{"shape":`+strings.Repeat("[", 1_000_000), 0),
	} {
		_, _, err := parse(data)
		var e *bounds.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want a *bounds.Error", name, err)
		}
	}
}

func TestAccepted(t *testing.T) {
	for _, h := range []string{"{}", "{}   ", "{ \t\r\n}", `{"__metadata__":{}}`, `{"__metadata__":{"\u0061\ud83d\ude00\n":"\/"}}`} {
		if _, _, err := parse(file(h, 0)); err != nil {
			t.Errorf("%s: %v", h, err)
		}
	}
}

func TestCutAnywhere(t *testing.T) {
	data := write(t, sample(), map[string]string{"format": "pt"})
	for n := range data {
		var e *bounds.Error
		if _, _, err := parse(data[:n:n]); !errors.As(err, &e) {
			t.Errorf("cut at %d of %d: got %v, want a *bounds.Error", n, len(data), err)
		}
	}
}

// saveShards writes the tensors to a folder in shards of at most limit bytes.
func saveShards(t *testing.T, dir string, tensors []Tensor, limit int) int {
	t.Helper()
	runs, err := Shards(tensors, limit)
	if err != nil {
		t.Fatal(err)
	}
	for i, run := range runs {
		save(t, dir, ShardName(i+1, len(runs)), write(t, tensors[run[0]:run[1]], nil))
	}
	if len(runs) > 1 {
		index, err := Index(tensors, runs)
		if err != nil {
			t.Fatal(err)
		}
		save(t, dir, IndexName, index)
	}
	return len(runs)
}

func save(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestShards(t *testing.T) {
	tensors := sample()
	for limit, want := range map[int]int{0: 1, 1: 3, 24: 2, 30: 2, 38: 1} {
		dir := t.TempDir()
		if n := saveShards(t, dir, tensors, limit); n != want {
			t.Errorf("limit %d: %d shards, want %d", limit, n, want)
		}
		f, err := OpenDir(dir)
		if err != nil {
			t.Errorf("limit %d: %v", limit, err)
			continue
		}
		if len(f.Tensors()) != len(tensors) {
			t.Errorf("limit %d: %d tensors", limit, len(f.Tensors()))
		}
		for _, want := range tensors {
			if got, ok := f.Lookup(want.Name); !ok || !reflect.DeepEqual(got, want) {
				t.Errorf("limit %d, %s: got %v", limit, want.Name, got)
			}
		}
		f.Close()
	}
}

func TestIndexRefused(t *testing.T) {
	dir := t.TempDir()
	saveShards(t, dir, sample(), 24)
	for name, index := range map[string]string{
		"not JSON":          `{`,
		"no map":            `{}`,
		"a path":            `{"weight_map":{"b":"../model.safetensors"}}`,
		"an absolute path":  `{"weight_map":{"b":"/etc/passwd"}}`,
		"a parent":          `{"weight_map":{"b":".."}}`,
		"a missing shard":   `{"weight_map":{"b":"none.safetensors"}}`,
		"a tensor too few":  `{"weight_map":{"empty":"model-00002-of-00002.safetensors"}}`,
		"a tensor too many": `{"weight_map":{"b":"model-00001-of-00002.safetensors","x":"model-00001-of-00002.safetensors"}}`,
	} {
		save(t, dir, IndexName, []byte(index))
		if f, err := OpenDir(dir); err == nil {
			f.Close()
			t.Errorf("an index with %s is accepted", name)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	short := func(_ int, w io.Writer) error { _, err := w.Write([]byte{1}); return err }
	if err := Write(io.Discard, sample()[:1], nil, short); err == nil {
		t.Error("a tensor of too few bytes is written")
	}
	if err := Write(io.Discard, []Tensor{{Name: "t", DType: "F31", Shape: []int{1}}}, nil, short); err == nil {
		t.Error("an unknown type is written")
	}
}

// TestSource reads a file as a quant.Source under its own names.
func TestSource(t *testing.T) {
	dir := t.TempDir()
	saveShards(t, dir, sample(), 0)
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var src quant.Source = f
	if n := len(src.Infos()); n != 2 {
		t.Errorf("%d tensors can be weights, want 2", n)
	}
	if b, err := src.Tensor("b"); err != nil || b.DType != quant.F32 || b.Rows() != 2 || len(b.Data) != 24 {
		t.Errorf("got %v, %v", b, err)
	}
	if _, err := src.Tensor("absent"); !errors.Is(err, quant.ErrNoTensor) {
		t.Errorf("an absent tensor gives %v", err)
	}
	if _, err := src.Tensor("empty"); err == nil || errors.Is(err, quant.ErrNoTensor) {
		t.Errorf("an empty tensor gives %v", err)
	}
}

func TestGoldens(t *testing.T) {
	root := quanttest.Shared(t, "data", "models", "golden")
	count := 0
	err := filepath.Walk(root, func(path string, _ os.FileInfo, err error) error {
		if err != nil || !strings.HasSuffix(path, ".safetensors") {
			return err
		}
		f, err := Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		count++
		again, _, err := parse(write(t, f.Tensors(), f.Metadata()))
		if err != nil || !reflect.DeepEqual(again, f.Tensors()) {
			t.Errorf("%s is written back with other tensors (%v)", path, err)
		}
		return nil
	})
	if err != nil || count < 50 {
		t.Errorf("%d files, %v", count, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(write(f, sample(), map[string]string{"format": "pt"}))
	f.Add(file(`{"__metadata__":{"\u0061\ud83d\ude00\n":"\/"}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, metadata, err := parse(data)
		if err != nil {
			var e *bounds.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no *bounds.Error", err)
			}
			return
		}
		again, m, err := parse(write(t, tensors, metadata))
		if err != nil || len(m) != len(metadata) || len(again) != len(tensors) {
			t.Fatalf("written back: %v", err)
		}
		for i, a := range again {
			if a.Name != tensors[i].Name || !bytes.Equal(a.Data, tensors[i].Data) {
				t.Fatalf("written back, tensor %d is %v", i, a)
			}
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"weight_map":{"b":"model-00001-of-00002.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		shards, _, err := parseIndex(data)
		for _, s := range shards {
			if err == nil && strings.ContainsAny(s, "/") {
				t.Fatalf("shard %q", s)
			}
		}
	})
}

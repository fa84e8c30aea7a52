package llama2c

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/bounds"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// tiny returns a model file of 2 layers whose weights are its own numbers counted up.
func tiny(tied bool) []byte {
	vocab := int32(5)
	if !tied {
		vocab = -5
	}
	var b []byte
	for _, n := range []int32{8, 12, 2, 2, 1, vocab, 3} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	h := header{dim: 8, hidden: 12, layers: 2, heads: 2, kvHeads: 1, vocab: 5, context: 3, tied: tied}
	next := float32(0)
	for _, a := range h.arrays() {
		n := 1
		for _, d := range a.shape {
			n *= d
		}
		if a.perLayer() {
			n *= 2
		}
		for range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(next))
			next++
		}
	}
	return b
}

func tinyTokenizer(tokens ...string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 9)
	for i, t := range tokens {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(-float32(i)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t)))
		b = append(b, t...)
	}
	return b
}

var tinyTokens = []string{"<unk>", "\n<s>\n", "\n</s>\n", "<0x00>", " a"}

func TestParse(t *testing.T) {
	for _, tied := range []bool{true, false} {
		h, tensors, err := parseModel(tiny(tied))
		if err != nil {
			t.Fatal(err)
		}
		want := 3 + 2*9
		if tied {
			want--
		}
		if h.tied != tied || h.vocab != 5 || len(tensors) != want {
			t.Errorf("tied %v: header %+v, %d tensors, want %d", tied, h, len(tensors), want)
		}
		first := map[string]float32{}
		for _, x := range tensors {
			first[x.Name] = math.Float32frombits(binary.LittleEndian.Uint32(x.Data))
		}
		// embedding 40, norms 2*8, q 2*64, k 2*32
		if first["blk.1.attn_norm.weight"] != 48 || first["blk.0.attn_k.weight"] != 40+16+128 || first["blk.1.attn_v.weight"] != 40+16+128+64+32 {
			t.Errorf("arrays begin at %v", first)
		}
	}
}

func TestTokenizer(t *testing.T) {
	v, err := parseTokenizer(tinyTokenizer(tinyTokens...), 5)
	if err != nil {
		t.Fatal(err)
	}
	m := &quant.Meta{}
	v.put(m)
	if got := m.Strings("tokenizer.ggml.tokens"); !slices.Equal(got, []string{"<unk>", "<s>", "</s>", "<0x00>", "▁a"}) {
		t.Errorf("tokens %q", got)
	}
	if got := m.Ints("tokenizer.ggml.token_type"); !slices.Equal(got, []int{2, 3, 3, 6, 1}) {
		t.Errorf("types %v", got)
	}
}

func TestRefused(t *testing.T) {
	model := tiny(false)
	for n := range model {
		if n%4 == 0 || n < 40 || n > len(model)-8 {
			wantTyped(t, "a cut model", n, second(parseModel(model[:n:n])))
		}
	}
	wantTyped(t, "a longer model", 0, second(parseModel(append(slices.Clone(model), 0))))
	for field := range 7 {
		for _, v := range []uint32{0, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1 << 20, 7} {
			bad := slices.Clone(model)
			binary.LittleEndian.PutUint32(bad[4*field:], v)
			wantTyped(t, "header field", field, second(parseModel(bad)))
		}
	}
	tok := tinyTokenizer(tinyTokens...)
	for n := range tok {
		_, err := parseTokenizer(tok[:n:n], 5)
		wantTyped(t, "a cut tokenizer", n, err)
	}
	for _, n := range []int{4, 6, 1 << 30} {
		_, err := parseTokenizer(tok, n)
		wantTyped(t, "a count of tokens", n, err)
	}
}

func second(_ header, _ []quant.Tensor, err error) error { return err }

func wantTyped(t *testing.T, what string, n int, err error) {
	t.Helper()
	var e *bounds.Error
	if !errors.As(err, &e) {
		t.Errorf("%s (%d): got %v, want a *bounds.Error", what, n, err)
	}
}

func TestFind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [b]*")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m.bin", "tok5.bin"} {
		if _, _, ok := Find(dir); ok {
			t.Error("a pair is found too early")
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "m.bin")} {
		m, tok, ok := Find(path)
		if !ok || filepath.Base(m) != "m.bin" || filepath.Base(tok) != "tok5.bin" {
			t.Errorf("found %q, %q, %v", m, tok, ok)
		}
	}
	if _, _, ok := Find(filepath.Join(dir, "tok5.bin")); ok {
		t.Error("a tokenizer is found to be a model")
	}
}

func TestStories(t *testing.T) {
	model, tokenizer, ok := Find(quanttest.Shared(t, "data", "models", "stories260K"))
	if !ok {
		t.Fatal("no model and tokenizer found")
	}
	s, err := Open(model, tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(s.Infos()); n != 2+5*9 {
		t.Errorf("%d tensors", n)
	}
	q, err := s.Tensor("blk.4.attn_k.weight")
	if err != nil || !slices.Equal(q.Shape, []int{32, 64}) {
		t.Errorf("got %v, %v", q.Shape, err)
	}
	if _, err := s.Tensor("output.weight"); !errors.Is(err, quant.ErrNoTensor) {
		t.Errorf("the output matrix, which is the embedding, gives %v", err)
	}
	if tokens := s.Meta().Strings("tokenizer.ggml.tokens"); len(tokens) != 512 || tokens[261] != "▁a" {
		t.Errorf("token 261 of %d is %q", len(tokens), tokens[261])
	}
	types := s.Meta().Ints("tokenizer.ggml.token_type")
	if types[3] != int(byteToken) || types[258] != int(byteToken) || types[259] != int(normalToken) {
		t.Errorf("types %v", types[:262])
	}
}

func FuzzModel(f *testing.F) {
	f.Add(tiny(true))
	f.Add(tiny(false))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, tensors, err := parseModel(data)
		for _, x := range tensors {
			if err == nil && len(x.Data) != 4*x.Elems() {
				t.Fatalf("%s of shape %v has %d bytes", x.Name, x.Shape, len(x.Data))
			}
		}
	})
}

func FuzzTokenizer(f *testing.F) {
	f.Add(tinyTokenizer(tinyTokens...), 5)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		v, err := parseTokenizer(data, n)
		if err == nil && len(v.tokens) != max(n, 0) {
			t.Fatalf("%d tokens, want %d", len(v.tokens), n)
		}
	})
}

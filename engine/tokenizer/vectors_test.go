package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/gguf"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// readData returns a file of shared/data, unpacked if it is gzip.
func readData(t testing.TB, elem ...string) []byte {
	t.Helper()
	path := quanttest.Shared(t, append([]string{"data"}, elem...)...)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func vocabMeta(t testing.TB, name string) *quant.Meta {
	t.Helper()
	src, err := gguf.Open(quanttest.Shared(t, "data", "tokenizers", "ggml-vocab", "ggml-vocab-"+name+".gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src.Meta()
}

// ggmlVectors returns the texts and ids of a ggml vocabulary.
func ggmlVectors(t testing.TB, name string) (texts []string, ids [][]int32) {
	base := "ggml-vocab-" + name + ".gguf"
	in := string(readData(t, "tokenizers", "ggml-vocab", base+".inp"))
	texts = strings.Split(strings.TrimSuffix(in, "\n__ggml_vocab_test__\n"), "\n__ggml_vocab_test__\n")
	out := strings.TrimSuffix(string(readData(t, "tokenizers", "ggml-vocab", base+".out")), "\n")
	for _, line := range strings.Split(out, "\n") {
		var row []int32
		for _, f := range strings.Fields(line) {
			id, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, int32(id))
		}
		ids = append(ids, row)
	}
	return texts, ids
}

func checkVectors(t *testing.T, tok *Tokenizer, texts []string, want [][]int32) {
	t.Helper()
	if len(texts) < 46 || len(want) < len(texts) {
		t.Fatalf("%d texts and %d rows of ids", len(texts), len(want))
	}
	for i, text := range texts {
		if got := tok.Encode(nil, text, EncodeOptions{}); !slices.Equal(got, want[i]) {
			t.Errorf("%q:\n got %v\nwant %v", text, got, want[i])
		}
	}
}

func TestGGMLVectors(t *testing.T) {
	for _, name := range []string{"gpt-2", "falcon", "starcoder", "deepseek-coder", "llama-spm", "bert-bge"} {
		t.Run(name, func(t *testing.T) {
			tok, err := New(vocabMeta(t, name))
			if err != nil {
				t.Fatal(err)
			}
			texts, ids := ggmlVectors(t, name)
			checkVectors(t, tok, texts, ids)
			if name == "bert-bge" {
				return // WordPiece forgets case and spaces
			}
			for i, text := range texts {
				if got := tok.Decode(ids[i], false); got != text {
					t.Errorf("decoded %q, want %q", got, text)
				}
			}
		})
	}
}

func TestHFVectors(t *testing.T) {
	for file, name := range map[string]string{"gpt2": "gpt-2", "bert": "bert-bge"} {
		t.Run(name, func(t *testing.T) {
			tok, err := FromHF(HF{Tokenizer: readData(t, "tokenizers", "hf-json", file+"-tokenizer.json.gz")})
			if err != nil {
				t.Fatal(err)
			}
			texts, ids := ggmlVectors(t, name)
			checkVectors(t, tok, texts, ids)
		})
	}
}

func eachLine(t testing.TB, data []byte, row func(line []byte)) {
	t.Helper()
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		row(s.Bytes())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

func tiktokenData(t testing.TB, encoding string) *Tokenizer {
	t.Helper()
	tok, err := FromTiktoken(readData(t, "tokenizers", "tiktoken", encoding+"_base.tiktoken.gz"), encoding)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTiktokenVectors(t *testing.T) {
	toks := map[string]*Tokenizer{}
	rows := 0
	eachLine(t, readData(t, "tokenizers", "tiktoken", "testplans.jsonl"), func(line []byte) {
		var v struct {
			Encoding, Text string
			IDs            []int32
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(v.Encoding, "_base")
		if toks[name] == nil {
			toks[name] = tiktokenData(t, name)
		}
		if got := toks[name].Encode(nil, v.Text, EncodeOptions{}); !slices.Equal(got, v.IDs) {
			t.Errorf("%s of %q:\n got %v\nwant %v", name, v.Text, got, v.IDs)
		}
		if got := toks[name].Decode(v.IDs, false); got != v.Text {
			t.Errorf("%s decoded %q, want %q", name, got, v.Text)
		}
		rows++
	})
	if rows != 128 {
		t.Errorf("%d rows, want 128", rows)
	}
}

func TestSentencePieceVectors(t *testing.T) {
	tok, err := FromSentencePiece(readData(t, "tokenizers", "sentencepiece", "test_model.model"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	eachLine(t, readData(t, "tokenizers", "sentencepiece", "test_model.vectors.jsonl"), func(line []byte) {
		var v struct {
			Text, Decoded string
			IDs           []int32
			Pieces        []string
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode(nil, v.Text, EncodeOptions{}); !slices.Equal(got, v.IDs) {
			t.Errorf("%q:\n got %v\nwant %v", v.Text, got, v.IDs)
		}
		if got := tok.Decode(v.IDs, false); got != v.Decoded {
			t.Errorf("%v decoded %q, want %q", v.IDs, got, v.Decoded)
		}
		rows++
	})
	if rows != 254 {
		t.Errorf("%d rows, want 254", rows)
	}
}

// golden is tokenizer/expected.json of the golden models.
type golden struct {
	Chat []struct {
		Rendered string
		IDs      []int32
	}
	Texts []struct {
		Text string
		IDs  []int32
	}
}

func checkGolden(t *testing.T, tok *Tokenizer) {
	t.Helper()
	var g golden
	if err := json.Unmarshal(readData(t, "models", "golden", "tokenizer", "expected.json"), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Chat) == 0 || len(g.Texts) == 0 {
		t.Fatal("expected.json holds nothing")
	}
	for _, c := range g.Chat {
		if got := tok.Encode(nil, c.Rendered, EncodeOptions{Special: true, AddSpecial: true}); !slices.Equal(got, c.IDs) {
			t.Errorf("%q:\n got %v\nwant %v", c.Rendered, got, c.IDs)
		}
	}
	for _, c := range g.Texts {
		if got := tok.Encode(nil, c.Text, EncodeOptions{}); !slices.Equal(got, c.IDs) {
			t.Errorf("%q:\n got %v\nwant %v", c.Text, got, c.IDs)
		}
		if got := tok.Decode(c.IDs, true); got != c.Text {
			t.Errorf("decoded %q, want %q", got, c.Text)
		}
	}
}

// archDirs lists the golden models' directories that have a tokenizer.
func archDirs(t testing.TB) []string {
	dirs, err := filepath.Glob(filepath.Join(quanttest.Shared(t, "data", "models", "golden", "arch"), "*"))
	if err != nil || len(dirs) < 20 {
		t.Fatalf("%d golden models, %v", len(dirs), err)
	}
	return dirs
}

// hfFiles reads what a Hugging Face directory says about tokens.
func hfFiles(t testing.TB, dir string) HF {
	t.Helper()
	var f HF
	for name, to := range map[string]*[]byte{"tokenizer.json": &f.Tokenizer, "tokenizer_config.json": &f.Config, "generation_config.json": &f.Generation} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			*to = data
		}
	}
	return f
}

// checkBert compares with the inputs of the golden encoder, BOS and EOS included.
func checkBert(t *testing.T, tok *Tokenizer) {
	t.Helper()
	var v struct {
		Inputs []struct {
			Text string
			IDs  []int32
		}
	}
	if err := json.Unmarshal(readData(t, "models", "golden", "arch", "bert", "expected.json"), &v); err != nil {
		t.Fatal(err)
	}
	for _, in := range v.Inputs {
		if got := tok.Encode(nil, in.Text, EncodeOptions{AddSpecial: true}); !slices.Equal(got, in.IDs) {
			t.Errorf("%q:\n got %v\nwant %v", in.Text, got, in.IDs)
		}
	}
}

func TestGoldenModels(t *testing.T) {
	for _, dir := range archDirs(t) {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			tok, err := FromHF(hfFiles(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if name == "bert" {
				checkBert(t, tok)
			} else {
				checkGolden(t, tok)
			}
		})
	}
}

func TestStories(t *testing.T) {
	tok, err := Open(quanttest.Shared(t, "data", "models", "stories260K"), "")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		NLL []struct {
			Text string
			IDs  []int32
		}
	}
	if err := json.Unmarshal(readData(t, "models", "stories260K", "expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	if len(want.NLL) == 0 {
		t.Fatal("expected.json holds no texts")
	}
	for _, c := range want.NLL {
		if got := tok.Encode(nil, c.Text, EncodeOptions{AddSpecial: true}); !slices.Equal(got, c.IDs) {
			t.Errorf("%q:\n got %v\nwant %v", c.Text, got, c.IDs)
		}
		if got := tok.Decode(c.IDs, true); got != c.Text {
			t.Errorf("decoded %q, want %q", got, c.Text)
		}
	}
}

// TestT5Arrays puts the SentencePiece model into GGUF's arrays, as converters do. Sums
// are float64 there, as in llama.cpp and Hugging Face's library, so the one row in which
// SentencePiece's float32 makes two segmentations equal comes out the other way round.
func TestT5Arrays(t *testing.T) {
	m, err := parseSP(readData(t, "tokenizers", "sentencepiece", "test_model.model"))
	if err != nil {
		t.Fatal(err)
	}
	types := make([]int32, len(m.kinds))
	for i, k := range m.kinds {
		types[i] = int32(k)
	}
	meta := &quant.Meta{}
	for key, value := range map[string]any{keyModel: "t5", keyTokens: m.texts, keyScores: m.scores, keyTypes: types,
		keyCharsmap: m.charsmap, keyAddSpace: m.dummy, keySqueeze: m.squeeze, keyUNK: uint32(0), keyEOS: uint32(2)} {
		meta.Set(key, value)
	}
	tok, err := New(meta)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	eachLine(t, readData(t, "tokenizers", "sentencepiece", "test_model.vectors.jsonl"), func(line []byte) {
		var v struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		rows++
		if strings.Contains(v.Text, "If you state it so baldly") {
			at := slices.Index(v.IDs, 269)
			v.IDs[at], v.IDs[at+1] = v.IDs[at+1], v.IDs[at]
		}
		if got := tok.Encode(nil, v.Text, EncodeOptions{AddSpecial: true}); !slices.Equal(got, append(v.IDs, 2)) {
			t.Errorf("%q:\n got %v\nwant %v and 2", v.Text, got, v.IDs)
		}
	})
	if rows != 254 {
		t.Errorf("%d rows, want 254", rows)
	}
}

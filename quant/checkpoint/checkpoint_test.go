package checkpoint

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/quant/gguf"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

func saveGGUF(t *testing.T, path string) {
	t.Helper()
	m := &quant.Meta{}
	m.Set("general.architecture", "llama")
	m.Set("general.name", "tiny\x1b[2J")
	m.Set("llama.block_count", uint32(2))
	m.Set("llama.attention.head_count", uint32(4))
	m.Set("llama.expert_count", uint32(8))
	m.Set("llama.expert_used_count", uint32(2))
	m.Set("tokenizer.ggml.model", "gpt2")
	m.Set("tokenizer.ggml.tokens", strings.Fields(strings.Repeat("t ", 3000)))
	m.Set("tokenizer.chat_template", strings.Repeat("ż", 5000))
	m.Set("test.bytes", []byte{1, 2})
	infos := []quant.Tensor{
		{Name: "token_embd.weight", DType: quant.F16, Shape: []int{3000, 64}},
		{Name: "blk.0.attn_q.weight", DType: quant.Q4_0, Shape: []int{64, 64}},
		{Name: "output_norm.weight", DType: quant.F32, Shape: []int{64}},
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = gguf.Write(f, m, infos, func(i int, w io.Writer) error {
		_, err := w.Write(make([]byte, infos[i].Rows()*infos[i].DType.RowBytes(infos[i].Cols())))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenGGUF(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	saveGGUF(t, path)
	for _, p := range []string{path, dir} {
		src, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		src.Close()
	}
	saveGGUF(t, filepath.Join(dir, "n.gguf"))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "m.gguf, n.gguf") {
		t.Errorf("two models give %v", err)
	}
	odd := filepath.Join(dir, "model.data")
	if err := os.Rename(path, odd); err != nil {
		t.Fatal(err)
	}
	src, err := Open(odd)
	if err != nil {
		t.Fatalf("a GGUF file of another name: %v", err)
	}
	src.Close()
}

func TestOpenOthers(t *testing.T) {
	stories := quanttest.Shared(t, "data", "models", "stories260K")
	llama := quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	for path, format := range map[string]string{
		stories: "llama2.c", filepath.Join(stories, "stories260K.bin"): "llama2.c",
		llama: "Hugging Face", filepath.Join(llama, "config.json"): "Hugging Face", filepath.Join(llama, "model.safetensors"): "Hugging Face",
	} {
		src, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := Describe(src).Format; got != format {
			t.Errorf("%s: format %q, want %q", path, got, format)
		}
		src.Close()
	}
}

// TestOpenRefuses: the message names what was found and what is accepted.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	save := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):          "no such file",
		save("notes.txt", "hello"):            "no GGUF file",
		save("a/model.safetensors", ""):       "no config.json",
		save("b/model.bin", ""):               "tokenizer file",
		save("c/model.gguf", "GGUX"):          "no GGUF file",
		filepath.Dir(save("d/readme.md", "")): "holds readme.md",
		filepath.Dir(save("e/config.json", `{"model_type":"mamba","architectures":["MambaForCausalLM"]}`)): `"mamba"`,
		filepath.Dir(save("f/config.json", `{`)):                                                           "config.json",
		save("g.gguf", "GGUF\x03\x00\x00\x00\xff\xff"):                                                     "tensor count",
	} {
		src, err := Open(path)
		if err == nil {
			src.Close()
			t.Errorf("%s is opened", path)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a message with %q", filepath.Base(path), err, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	saveGGUF(t, path)
	src, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	i := Describe(src)
	want := []TypeShare{{"F16", 1, 192_000, 384_000}, {"Q4_0", 1, 4096, 2304}, {"F32", 1, 64, 256}}
	if !reflect.DeepEqual(i.Types, want) {
		t.Errorf("types %v, want %v", i.Types, want)
	}
	if i.Parameters != 196_160 || i.Bytes != 386_560 || i.Layers != 2 || i.KVHeads != 4 || i.Experts != 8 || i.Vocabulary != 3000 ||
		i.Tokenizer != "byte-level BPE" || !i.ChatTemplate || len(i.Tensors) != 3 {
		t.Errorf("got %+v", i)
	}
	raw, err := json.Marshal(i)
	if err != nil || len(raw) > 5000 || !strings.Contains(string(raw), `"value":[1,2]`) {
		t.Errorf("%d bytes of JSON, %v: %s", len(raw), err, raw)
	}
	for all, words := range map[bool][]string{
		false: {"architecture", "196 K (196160)", "377.50 KiB", "2 of 8", "Q4_0"},
		true:  {"blk.0.attn_q.weight", "64 64", "llama.block_count", "... (3000)"},
	} {
		var b bytes.Buffer
		if err := i.Text(&b, all); err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if !strings.Contains(b.String(), w) {
				t.Errorf("the text lacks %q:\n%s", w, b.String())
			}
		}
	}
}

package tokenizer

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"slices"
	"testing"
)

// TestHuggingFacePipelines compares with what Hugging Face's tokenizers 0.23.3 gave
// for small tokenizers of many kinds (testdata/huggingface.jsonl.gz, made for this
// project from made-up sentences): ids with and without what is added around a text,
// and decoded texts. The arrays that GGML writes, with the tokenizer.json where they
// need it, must give the same.
func TestHuggingFacePipelines(t *testing.T) {
	f, err := os.Open("testdata/huggingface.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	eachLine(t, data, func(line []byte) {
		var c pipeline
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		cases++
		t.Run(c.Name, c.check)
	})
	if cases != 16 {
		t.Errorf("%d cases, want 16", cases)
	}
}

// pipeline is a tokenizer.json and what it should give.
type pipeline struct {
	Name, JSON string
	Rows       []struct {
		Text          string
		With, Without []int32
		Dec, DecSkip  string
	}
}

func (c *pipeline) check(t *testing.T) {
	files := HF{Tokenizer: []byte(c.JSON)}
	direct, err := FromHF(files)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := GGML(files)
	if err != nil {
		t.Fatal(err)
	}
	converted, err := New(meta)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []*Tokenizer{direct, converted} {
		for _, r := range c.Rows {
			if got := tok.Encode(nil, r.Text, EncodeOptions{Special: true, AddSpecial: true}); !slices.Equal(got, r.With) {
				t.Errorf("%q:\n got %v\nwant %v", r.Text, got, r.With)
			}
			if got := tok.Encode(nil, r.Text, EncodeOptions{Special: true}); !slices.Equal(got, r.Without) {
				t.Errorf("%q:\n got %v\nwant %v", r.Text, got, r.Without)
			}
			if got := tok.Decode(r.Without, false); got != r.Dec {
				t.Errorf("%v:\n got %q\nwant %q", r.Without, got, r.Dec)
			}
			if got := tok.Decode(r.With, true); got != r.DecSkip {
				t.Errorf("%v, skipping:\n got %q\nwant %q", r.With, got, r.DecSkip)
			}
		}
	}
}

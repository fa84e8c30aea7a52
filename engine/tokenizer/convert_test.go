package tokenizer

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
)

// TestGGMLKeepsIDs converts every golden tokenizer to arrays and compares; the arrays
// alone must do (no tokenizer.json goes along).
func TestGGMLKeepsIDs(t *testing.T) {
	for _, dir := range archDirs(t) {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			meta, err := GGML(hfFiles(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if meta.Has(keyHF) {
				t.Error("the arrays are said not to suffice")
			}
			tok, err := New(meta)
			if err != nil {
				t.Fatal(err)
			}
			back, err := TokenizerJSON(meta)
			if err != nil {
				t.Fatal(err)
			}
			again, err := FromHF(HF{Tokenizer: back})
			if err != nil {
				t.Fatal(err)
			}
			for _, tok := range []*Tokenizer{tok, again} {
				if name == "bert" {
					checkBert(t, tok)
				} else {
					checkGolden(t, tok)
				}
			}
		})
	}
}

func TestGGMLOfSharedFiles(t *testing.T) {
	for file, name := range map[string]string{"gpt2": "gpt-2", "bert": "bert-bge"} {
		meta, err := GGML(HF{Tokenizer: readData(t, "tokenizers", "hf-json", file+"-tokenizer.json.gz")})
		if err != nil {
			t.Fatal(err)
		}
		if file == "gpt2" && meta.String(keyPre, "") != "gpt-2" {
			t.Errorf("pre is %q", meta.String(keyPre, ""))
		}
		want := vocabMeta(t, name)
		if got, want := meta.Strings(keyTokens), want.Strings(keyTokens); !slices.Equal(got, want) {
			t.Errorf("%s: %d tokens differ from the %d of the converted vocabulary", file, len(got), len(want))
		}
		if got, want := meta.Strings(keyMerges), want.Strings(keyMerges); !slices.Equal(got, want) {
			t.Errorf("%s: %d merges differ from the %d of the converted vocabulary", file, len(got), len(want))
		}
		meta.Delete(keyHF)
		tok, err := New(meta)
		if err != nil {
			t.Fatal(err)
		}
		texts, ids := ggmlVectors(t, name)
		checkVectors(t, tok, texts, ids)
	}
}

// TestTokenizerJSON writes every ggml vocabulary as tokenizer.json and reads it again.
func TestTokenizerJSON(t *testing.T) {
	for _, name := range []string{"gpt-2", "falcon", "starcoder", "deepseek-coder", "llama-spm", "bert-bge"} {
		t.Run(name, func(t *testing.T) {
			data, err := TokenizerJSON(vocabMeta(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(data) {
				t.Fatal("no JSON")
			}
			tok, err := FromHF(HF{Tokenizer: data})
			if err != nil {
				t.Fatal(err)
			}
			texts, ids := ggmlVectors(t, name)
			checkVectors(t, tok, texts, ids)
		})
	}
}

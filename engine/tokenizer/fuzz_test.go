package tokenizer

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant"
)

// tryOut uses a tokenizer that a hostile file made: nothing may panic, and every id is
// in range.
func tryOut(t *testing.T, tok *Tokenizer) {
	for _, text := range []string{"", "a b  ab\n", "<s> é\x80 \u2581a"} {
		for _, opt := range []EncodeOptions{{}, {Special: true, AddSpecial: true}} {
			ids := tok.Encode(nil, text, opt)
			for _, id := range ids {
				if !tok.valid(id) {
					t.Fatalf("%q gives id %d of %d", text, id, tok.Vocab())
				}
			}
			if !utf8.ValidString(tok.Decode(ids, false)) {
				t.Fatalf("%v decode to invalid UTF-8", ids)
			}
		}
	}
}

func FuzzHF(f *testing.F) {
	for _, s := range []string{
		`{"added_tokens":[{"id":3,"content":"<s>","special":true}],"normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"ByteLevel"},
		  "decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`,
		`{"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["\u2581a",-1.5],["b",-2]]},"pre_tokenizer":{"type":"Metaspace","replacement":"\u2581"},
		  "normalizer":{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAAAAYQA="}}`,
		`{"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","vocab":{"[UNK]":0,"a":1,"##b":2}},
		  "normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece","prefix":"##"},
		  "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[1]}}}}`,
		`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|(?!a)b"},"behavior":"MergedWithNext","invert":true},
		  {"type":"Digits"},{"type":"Punctuation","behavior":"Contiguous"}]},"model":{"type":"BPE","byte_fallback":true,"unk_token":"u","end_of_word_suffix":"</w>",
		  "vocab":{"u":0,"a</w>":1,"<0x61>":2},"merges":[]}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		files := HF{Tokenizer: []byte(s)}
		tok, err := FromHF(files)
		if err != nil {
			return
		}
		tryOut(t, tok)
		meta, err := GGML(files)
		if err != nil {
			t.Fatalf("a good tokenizer.json does not convert: %v", err)
		}
		if tok, err := New(meta); err == nil {
			tryOut(t, tok)
		}
	})
}

func FuzzTiktoken(f *testing.F) {
	line := func(s, rank string) string { return base64.StdEncoding.EncodeToString([]byte(s)) + " " + rank + "\n" }
	f.Add([]byte(line("a", "0")+line("b", "1")+line("ab", "2")), "r50k")
	f.Add([]byte(line("\xff", "7")), "o200k_base")
	f.Add([]byte("!! 0\n"), "cl100k")
	f.Fuzz(func(t *testing.T, data []byte, encoding string) {
		if tok, err := FromTiktoken(data, encoding); err == nil {
			tryOut(t, tok)
		}
	})
}

// spPiece encodes a piece of a SentencePiece model.
func spPiece(text string, score byte, k kind) []byte {
	p := append([]byte{0x0a, byte(len(text))}, text...)
	p = append(p, 0x15, 0, 0, score, 0xc0, 0x18, byte(k))
	return append([]byte{0x0a, byte(len(p))}, p...)
}

func FuzzSentencePiece(f *testing.F) {
	pieces := slices.Concat(spPiece("<unk>", 0, unknown), spPiece("<s>", 0, control), spPiece("\u2581a", 0x80, normal),
		spPiece("b", 0x20, userDefined), spPiece("<0x61>", 0, byteToken))
	f.Add(slices.Concat(pieces, []byte{0x12, 5, 0x18, 2, 0x98, 2, 1}))
	f.Add(slices.Concat(pieces, []byte{0x12, 2, 0x18, 1}, []byte{0x1a, 6, 0x18, 0, 0x20, 0, 0x28, 1}))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := FromSentencePiece(data); err == nil {
			tryOut(t, tok)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add("gpt2", "gpt-2", "a b ab <s>", "a_b", 1, 3, true)
	f.Add("llama", "default", "<unk> <s> </s> \u2581a a b ab <0x61>", "", 1, 0, false)
	f.Add("t5", "", "<pad> </s> <unk> \u2581a b", "", 1, 1, true)
	f.Add("bert", "", "[UNK] \u2581a b [CLS]", "", 0, 0, true)
	f.Add("gemma4", "", "a \u2581 \n", "a_\u2581", 0, 9, true)
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, typ, id int, flag bool) {
		m := &quant.Meta{}
		m.Set(keyModel, model)
		m.Set(keyPre, pre)
		texts := strings.Split(tokens, " ")
		m.Set(keyTokens, texts)
		types, scores := make([]int32, len(texts)), make([]float32, len(texts))
		for i := range types {
			types[i], scores[i] = int32(typ+i)%8, -float32(i*id%7)
		}
		m.Set(keyTypes, types)
		m.Set(keyScores, scores)
		lines := strings.Split(merges, ",")
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], "_", " ")
		}
		m.Set(keyMerges, lines)
		m.Set(keyCharsmap, []uint8(tokens))
		if flag {
			m.Delete(keyCharsmap)
			m.Set(keyBOS, uint32(id))
			m.Set(keyUNK, uint32(0))
			m.Set(keyAddBOS, true)
			m.Set(keyAddSpace, true)
		}
		tok, err := New(m)
		if err != nil {
			return
		}
		tryOut(t, tok)
		if _, err := TokenizerJSON(m); err != nil && model != "gemma4" {
			t.Fatalf("a good vocabulary has no tokenizer.json: %v", err)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	var toks []*Tokenizer
	for _, encoding := range []string{"r50k", "cl100k"} {
		toks = append(toks, tiktokenData(f, encoding))
	}
	for _, s := range []string{"", "Hello, world!", "\xff\x00", "naïve 🦙\n\n  x", "<|endoftext|>", strings.Repeat("ab", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range toks {
			ids := tok.Encode(nil, s, EncodeOptions{})
			raw := ""
			for _, id := range ids {
				raw += string(tok.Piece(id))
			}
			if raw != s {
				t.Fatalf("%q gives %v, which spell %q", s, ids, raw)
			}
			if utf8.ValidString(s) && tok.Decode(ids, false) != s {
				t.Fatalf("%q gives %v, which decode to %q", s, ids, tok.Decode(ids, false))
			}
		}
	})
}

package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ingot-llm/ingot/quant/quanttest"
)

// everyTokenizer gives one of each kind, by name.
func everyTokenizer(t testing.TB) map[string]*Tokenizer {
	t.Helper()
	must := func(tok *Tokenizer, err error) *Tokenizer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	return map[string]*Tokenizer{
		"gpt-2":     must(New(vocabMeta(t, "gpt-2"))),
		"llama-spm": must(New(vocabMeta(t, "llama-spm"))),
		"bert":      must(New(vocabMeta(t, "bert-bge"))),
		"deepseek":  must(New(vocabMeta(t, "deepseek-coder"))),
		"cl100k":    tiktokenData(t, "cl100k"),
		"unigram":   must(FromSentencePiece(readData(t, "tokenizers", "sentencepiece", "test_model.model"))),
		"golden":    must(FromHF(HF{Tokenizer: readData(t, "models", "golden", "tokenizer", "tokenizer.json")})),
	}
}

// TestControlStaysText is reliability.md's C4: what users write never yields a
// control token, and is still there afterwards.
func TestControlStaysText(t *testing.T) {
	for name, tok := range everyTokenizer(t) {
		controls := 0
		for id := range int32(tok.Vocab()) {
			if !tok.IsControl(id) {
				continue
			}
			controls++
			text := "a " + tok.TokenText(id) + " b" + tok.TokenText(id)
			plain := tok.Encode(nil, text, EncodeOptions{})
			segs := tok.EncodeSegments(nil, []Segment{{Text: text[:3]}, {Text: text[3:]}})
			for _, ids := range [][]int32{plain, segs} {
				if i := slices.IndexFunc(ids, tok.IsControl); i >= 0 {
					t.Errorf("%s: plain %q gives the control token %q", name, text, tok.TokenText(ids[i]))
				}
			}
			read := tok.Encode(nil, text, EncodeOptions{Special: true})
			if n := len(slices.DeleteFunc(read, func(x int32) bool { return x != id })); n != 2 {
				t.Errorf("%s: trusted %q gives the control token %d times, want 2", name, text, n)
			}
		}
		if controls == 0 && name != "deepseek" {
			t.Errorf("%s has no control tokens to try", name)
		}
	}
}

func TestEncodeSegments(t *testing.T) {
	tok, err := FromHF(HF{Tokenizer: readData(t, "models", "golden", "tokenizer", "tokenizer.json")})
	if err != nil {
		t.Fatal(err)
	}
	start, end := int32(3), int32(4)
	count := func(ids []int32) (starts, ends int) {
		for _, id := range ids {
			if id == start {
				starts++
			}
			if id == end {
				ends++
			}
		}
		return starts, ends
	}
	for _, c := range []struct {
		segs         []Segment
		starts, ends int
	}{
		{[]Segment{{"<|im_start|>user\n", true}, {"<|im_end|>hi", false}, {"<|im_end|>\n", true}}, 1, 1},
		{[]Segment{{"<|im_", true}, {"start|>", true}}, 1, 0},
		{[]Segment{{"<|im_", true}, {"start|>", false}}, 0, 0},
		{[]Segment{{"<|im_", false}, {"start|>", true}}, 0, 0},
		{[]Segment{{"<|im_", true}, {"", false}, {"start|>", true}}, 1, 0},
		{[]Segment{{"<|im_end|><|im_end|>", false}, {"<|im_end|>", true}, {"<|im_start|>", false}}, 0, 1},
	} {
		ids := tok.EncodeSegments(nil, c.segs)
		if starts, ends := count(ids); starts != c.starts || ends != c.ends {
			t.Errorf("%v: %d and %d control tokens, want %d and %d", c.segs, starts, ends, c.starts, c.ends)
		}
		text := ""
		for _, s := range c.segs {
			text += s.Text
		}
		if got := tok.Decode(ids, false); got != text {
			t.Errorf("%v decode to %q", c.segs, got)
		}
	}
	text := "Once upon a time, there was a little lion."
	want := tok.Encode(nil, text, EncodeOptions{})
	for at := range text {
		got := tok.EncodeSegments(nil, []Segment{{text[:at], true}, {text[at:], false}})
		if !slices.Equal(got, want) {
			t.Errorf("cut at %d: %v, want %v", at, got, want)
		}
	}
}

// TestRoundTrip checks decode(encode(x)) == x where the vocabulary spells every byte.
func TestRoundTrip(t *testing.T) {
	toks := everyTokenizer(t)
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		text := strings.ToValidUTF8(randomText(r), "")
		for _, name := range []string{"gpt-2", "llama-spm", "deepseek", "cl100k", "golden"} {
			if strings.Contains(text, spaceMark) && name == "llama-spm" {
				continue
			}
			ids := toks[name].Encode(nil, text, EncodeOptions{})
			if got := toks[name].Decode(ids, false); got != text {
				t.Fatalf("%s: %q gives %v and %q", name, text, ids, got)
			}
		}
	}
}

// TestStream checks that a stream gives whole runes, and in sum what Decode gives.
func TestStream(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for name, tok := range everyTokenizer(t) {
		for range 500 {
			ids := make([]int32, r.IntN(12))
			for i := range ids {
				ids[i] = int32(r.IntN(tok.Vocab()))
				if r.IntN(3) == 0 {
					ids[i] = int32(r.IntN(300)) // bytes lie low in most vocabularies
				}
			}
			for _, skip := range []bool{false, true} {
				s, all := tok.Stream(skip), ""
				for _, id := range ids {
					part := s.Push(id)
					if !utf8.ValidString(part) {
						t.Fatalf("%s: %v gives %q", name, ids, part)
					}
					all += part
				}
				all += string(s.Flush(nil))
				if want := tok.Decode(ids, skip); all != want {
					t.Fatalf("%s: %v streams %q, decodes %q", name, ids, all, want)
				}
			}
		}
	}
}

func TestStreamReplacesMaximalParts(t *testing.T) {
	tok := tiktokenData(t, "r50k")
	byteID := func(b byte) int32 { return tok.model.(*bpe).ofByte[b] }
	for _, c := range []struct{ raw, want string }{
		{"\xe2\x82\xac", "€"},
		{"\xe2\x82", "\ufffd"},
		{"\xe2\x82a", "\ufffda"},
		{"\xe2\xe2\x82\xac", "\ufffd€"},
		{"\xf0\x9f\x98\xff\x80", "\ufffd\ufffd\ufffd"},
		{"a\x80b", "a\ufffdb"},
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
	} {
		var ids []int32
		for _, b := range []byte(c.raw) {
			ids = append(ids, byteID(b))
		}
		if got := tok.Decode(ids, false); got != c.want {
			t.Errorf("%q decodes to %q, want %q", c.raw, got, c.want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	tok := tiktokenData(t, "r50k")
	ids := tok.Encode(nil, "Grüße, 世界! Once upon a time 🦙.", EncodeOptions{})
	buf, s := make([]byte, 0, 1024), tok.Stream(true)
	if n := testing.AllocsPerRun(100, func() {
		buf = buf[:0]
		for _, id := range ids {
			buf = s.Append(buf, id)
		}
		buf = s.Flush(buf)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	out := make([]int32, 0, 1024)
	text := "Once upon a time, there was a reeeeeeally oddword. 123456"
	if n := testing.AllocsPerRun(100, func() { out = tok.Encode(out[:0], text, EncodeOptions{}) }); n > 0.5 {
		t.Errorf("Encode: %v allocations", n)
	}
}

// TestLongWordSteps counts the heap operations of one long word: each unit is pushed
// a bounded number of times, so the work is n log n.
func TestLongWordSteps(t *testing.T) {
	tok := tiktokenData(t, "cl100k")
	m := tok.model.(*bpe)
	for _, word := range []string{"a", "ab", "the"} {
		for _, n := range []int{1 << 12, 1 << 14} {
			var s symbols
			m.units(strings.Repeat(word, n/len(word)), &s)
			m.mergeLong(&s)
			if got := s.pushes; got > 4*n {
				t.Errorf("%d bytes of %q push %d heap entries", n, word, got)
			}
		}
	}
}

// TestLongTexts encodes 128 kB without a break in every kind of
// tokenizer, and once a whole one. Anything quadratic would take hours.
func TestLongTexts(t *testing.T) {
	for name, tok := range everyTokenizer(t) {
		for _, unit := range []string{"a", " ", "1", "\n", "é", "'", "<|", "a1 "} {
			n := (1 << 17) / len(unit)
			if name == "cl100k" && unit == "a" {
				n = 1 << 20
			}
			ids := tok.Encode(nil, strings.Repeat(unit, n), EncodeOptions{})
			if len(ids) > 4*n {
				t.Errorf("%s: %d of %q give %d ids", name, n, unit, len(ids))
			}
		}
	}
}

func TestSpecialIDs(t *testing.T) {
	toks := everyTokenizer(t)
	for _, c := range []struct {
		name                    string
		bos, eos, eot, pad, unk int32
		eogs                    []int32
	}{
		{"gpt-2", 50256, 50256, 50256, -1, -1, []int32{50256}},
		{"llama-spm", 1, 2, -1, -1, 0, []int32{2}},
		{"cl100k", 100257, 100257, 100257, -1, -1, []int32{100257}},
		{"golden", -1, -1, 4, 0, -1, []int32{4}},
	} {
		tok := toks[c.name]
		got := []int32{tok.BOS(), tok.EOS(), tok.EOT(), tok.PAD(), tok.UNK()}
		if want := []int32{c.bos, c.eos, c.eot, c.pad, c.unk}; !slices.Equal(got, want) {
			t.Errorf("%s: special ids %v, want %v", c.name, got, want)
		}
		if !slices.Equal(tok.EOGs(), c.eogs) {
			t.Errorf("%s: ends %v, want %v", c.name, tok.EOGs(), c.eogs)
		}
	}
	if ids := toks["llama-spm"].Encode(nil, "Hi", EncodeOptions{AddSpecial: true}); ids[0] != 1 {
		t.Errorf("llama encodes %v without BOS", ids)
	}
	if ids := toks["bert"].Encode(nil, "hi", EncodeOptions{AddSpecial: true}); ids[0] != 101 || ids[len(ids)-1] != 102 {
		t.Errorf("bert encodes %v without [CLS] and [SEP]", ids)
	}
	if id, ok := toks["llama-spm"].ID("<0x0A>"); !ok || !toks["llama-spm"].IsByte(id) || string(toks["llama-spm"].Piece(id)) != "\n" {
		t.Errorf("<0x0A> is %d, %q", id, toks["llama-spm"].Piece(id))
	}
}

func TestOpen(t *testing.T) {
	shared := func(elem ...string) string { return quanttest.Shared(t, append([]string{"data"}, elem...)...) }
	for _, c := range []struct {
		path, pattern string
		vocab         int
	}{
		{shared("tokenizers", "ggml-vocab", "ggml-vocab-gpt-2.gguf"), "", 50257},
		{shared("tokenizers", "tiktoken", "r50k_base.tiktoken.gz"), "", 50257},
		{shared("tokenizers", "tiktoken", "r50k_base.tiktoken.gz"), "cl100k", 100277},
		{shared("tokenizers", "hf-json", "gpt2-tokenizer.json.gz"), "", 50257},
		{shared("tokenizers", "sentencepiece", "test_model.model"), "", 1000},
		{shared("models", "golden", "tokenizer", "tokenizer.json"), "", 384},
		{shared("models", "golden", "arch", "llama-tied"), "", 384},
		{shared("models", "stories260K"), "", 512},
	} {
		tok, err := Open(c.path, c.pattern)
		if err != nil {
			t.Error(err)
		} else if tok.Vocab() != c.vocab {
			t.Errorf("%s: %d tokens, want %d", c.path, tok.Vocab(), c.vocab)
		}
	}
	for _, path := range []string{shared("README.md"), shared("no-such-file"), shared("tokenizers", "tiktoken", "testplans.jsonl")} {
		if _, err := Open(path, ""); err == nil {
			t.Errorf("%s opens as a tokenizer", path)
		}
	}
}

func TestRunTokenize(t *testing.T) {
	tok, err := New(vocabMeta(t, "llama-spm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		opt      RunOptions
		in, want string
	}{
		{RunOptions{}, "Hello world", `{"ids":[1,15043,3186]}` + "\n"},
		{RunOptions{NoSpecial: true}, "", `{"ids":[]}` + "\n"},
		{RunOptions{NoSpecial: true, JSONL: true}, "{\"text\":\"Hello\"}\n\n{\"text\":\"\"}\n", "{\"ids\":[15043]}\n{\"ids\":[]}\n"},
		{RunOptions{Decode: true}, `{"ids":[15043,3186]}`, "Hello world"},
		{RunOptions{Decode: true, SkipHidden: true}, `{"ids":[1,15043]}`, "Hello"},
		{RunOptions{Decode: true, JSONL: true}, "{\"ids\":[529]}\n{\"ids\":[]}\n", "{\"text\":\"<\"}\n{\"text\":\"\"}\n"},
	} {
		var out strings.Builder
		if err := RunTokenize(strings.NewReader(c.in), &out, tok, c.opt); err != nil || out.String() != c.want {
			t.Errorf("%+v of %q: %q, %v; want %q", c.opt, c.in, out.String(), err, c.want)
		}
	}
	for in, opt := range map[string]RunOptions{
		"\xff": {}, "{": {JSONL: true}, `{"x":1}`: {JSONL: true}, `{"ids":[99999999]}`: {Decode: true}, `[1]`: {Decode: true},
	} {
		var out strings.Builder
		if err := RunTokenize(strings.NewReader(in), &out, tok, opt); err == nil {
			t.Errorf("%+v of %q gives %q, want an error", opt, in, out.String())
		}
	}
}

// TestForgottenSpecial checks that a file which calls a control token plain does not
// let users write it.
func TestForgottenSpecial(t *testing.T) {
	tok, err := FromHF(HF{Tokenizer: []byte(`{"added_tokens":[{"id":1,"content":"<|im_start|>"},{"id":2,"content":"<tool>"}],
		"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode(nil, "<|im_start|>a<tool>", EncodeOptions{}); !slices.Equal(got, []int32{0, 0, 2}) {
		t.Errorf("plain text gives %v, want the letters and the tool token only", got)
	}
	if got := tok.Encode(nil, "<|im_start|>a", EncodeOptions{Special: true}); !slices.Equal(got, []int32{1, 0}) {
		t.Errorf("trusted text gives %v", got)
	}
}

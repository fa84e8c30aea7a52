package tokenizer

import (
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/quant"
)

func mustRefuse(t *testing.T, what string, err error, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that names %q", what, err, want)
		}
	}
}

// TestRefused checks that what is not supported is refused by name.
func TestRefused(t *testing.T) {
	_, err := FromTiktoken([]byte("YQ== 0"), "klingon")
	mustRefuse(t, "encoding", err, "klingon", "cl100k")
	_, err = FromTiktoken([]byte("YQ== 0\nYQ== x"), "r50k")
	mustRefuse(t, "rank", err, "line 2", `"x"`)
	_, err = FromTiktoken([]byte("YQ== 99999999"), "r50k")
	mustRefuse(t, "rank", err, "99999999")
	model := `"model":{"type":"BPE","vocab":{"a":0},"merges":[]}`
	for json, want := range map[string]string{
		`{"pre_tokenizer":{"type":"Moon"},` + model + `}`:                                                                       `"Moon"`,
		`{"normalizer":{"type":"Moon"},` + model + `}`:                                                                          `"Moon"`,
		`{"decoder":{"type":"CTC"},` + model + `}`:                                                                              `"CTC"`,
		`{"post_processor":{"type":"Moon"},` + model + `}`:                                                                      `"Moon"`,
		`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?<=a)b"},"behavior":"Isolated"},` + model + `}`:                  `(?<=a`,
		`{"pre_tokenizer":{"type":"Split","pattern":{"String":"b"},"behavior":"Moon"},` + model + `}`:                           `"Moon"`,
		`{"model":{"type":"WordLevel","vocab":{"a":0}}}`:                                                                        `"WordLevel"`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}`:                                                               `"a"`,
		`{"model":{"type":"BPE","vocab":{"a":2000000},"merges":[]}}`:                                                            `2000000`,
		`{"model":{"type":"BPE","vocab":{"a":1000000},"merges":[]}}`:                                                            `1000000`,
		`{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}`:                                                            `id 0`,
		`{"model":{"type":"BPE","dropout":0.1,"vocab":{"a":0},"merges":[]}}`:                                                    `dropout`,
		`{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"q"}},{"Sequence":{}}]},` + model + `}`: `"q"`,
		`[]`: "tokenizer.json",
	} {
		_, err := FromHF(HF{Tokenizer: []byte(json)})
		mustRefuse(t, json, err, want)
	}
	meta := func(kv ...any) *quant.Meta {
		m := &quant.Meta{}
		for i := 0; i < len(kv); i += 2 {
			m.Set(kv[i].(string), kv[i+1])
		}
		return m
	}
	tokens := []string{"a", "b"}
	for _, c := range []struct {
		meta  *quant.Meta
		wants []string
	}{
		{meta(), []string{keyModel}},
		{meta(keyModel, "moon", keyTokens, tokens), []string{`"moon"`, "gpt2"}},
		{meta(keyModel, "gpt2", keyPre, "moon", keyTokens, tokens), []string{`"moon"`, "llama-bpe", "tekken"}},
		{meta(keyModel, "gpt2", keyTokens, tokens), []string{keyMerges}},
		{meta(keyModel, "gpt2", keyTokens, tokens, keyMerges, []string{"ab"}), []string{keyMerges, `"ab"`}},
		{meta(keyModel, "llama", keyTokens, tokens, keyTypes, []int32{1}), []string{keyTypes}},
		{meta(keyModel, "llama", keyTokens, tokens, keyScores, []float32{1}), []string{keyScores}},
		{meta(keyModel, "t5", keyTokens, tokens, keyCharsmap, []uint8{1}), []string{keyCharsmap}},
		{meta(keyModel, "llama", keyTokens, []string{strings.Repeat("a", 5000)}), []string{"5000"}},
	} {
		_, err := New(c.meta)
		mustRefuse(t, "metadata", err, c.wants...)
	}
	for data, want := range map[string]string{"": "no pieces", "\x0a\xff": "damaged", "\x12\x02\x18\x03": "type is 3"} {
		_, err := FromSentencePiece([]byte(data))
		mustRefuse(t, "SentencePiece", err, want)
	}
}

// TestEndings checks the lists by name where families differ.
func TestEndings(t *testing.T) {
	for _, c := range []struct {
		tokens []string
		want   []string
	}{
		{[]string{"a", "<|end|>", "<|eot_id|>"}, []string{"<|end|>", "<|eot_id|>"}},
		{[]string{"<|start|>", "<|end|>", "<|return|>", "<|call|>"}, []string{"<|return|>", "<|call|>"}},
		{[]string{"</s>", "<end_of_turn>", "<eos>"}, []string{"</s>", "<end_of_turn>", "<eos>"}},
	} {
		m := &quant.Meta{}
		m.Set(keyModel, "llama")
		m.Set(keyTokens, c.tokens)
		m.Set(keyEnds, []int32{int32(len(c.tokens)) + 5, -1})
		tok, err := New(m)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, id := range tok.EOGs() {
			if !tok.IsControl(id) {
				t.Errorf("%q ends a generation but is plain text", tok.TokenText(id))
			}
			got = append(got, tok.TokenText(id))
		}
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%q end with %q, want %q", c.tokens, got, c.want)
		}
	}
}

func TestStreamContinue(t *testing.T) {
	tok, err := New(vocabMeta(t, "llama-spm"))
	if err != nil {
		t.Fatal(err)
	}
	s := tok.Stream(true)
	s.Continue()
	if got := s.Push(3186); got != " world" {
		t.Errorf("got %q, want %q", got, " world")
	}
}

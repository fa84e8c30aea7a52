package server

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// longText is n bytes of stories.
func longText(b *testing.B, n int) string {
	file, err := os.Open(quanttest.Shared(b, "data", "pretrain", "storybooks.train.jsonl.gz"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(nil, 1<<24)
	var text strings.Builder
	for text.Len() < n && lines.Scan() {
		var row struct{ Text string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			b.Fatal(err)
		}
		text.WriteString(row.Text)
	}
	return text.String()
}

// BenchmarkLongPrompt is the way of a prompt of some 100k tokens from the HTTP request to
// Submit and back with one token, through GPT-2's tokenizer.
func BenchmarkLongPrompt(b *testing.B) {
	tok, err := tokenizer.Open(quanttest.Shared(b, "data", "tokenizers", "ggml-vocab", "ggml-vocab-gpt-2.gguf"), "")
	if err != nil {
		b.Fatal(err)
	}
	fake := newFake()
	fake.answer = "a"
	h := startTCP(b, fake, func(_ *Config, m *Model) {
		m.Tokenizer, m.Info.Vocab, m.Info.Context = tok, tok.Vocab(), 1<<20
	})
	text, err := json.Marshal(longText(b, 395_000))
	if err != nil {
		b.Fatal(err)
	}
	for name, request := range map[string]struct{ path, body string }{
		"chat":        {"/v1/chat/completions", `{"model":"fake","max_tokens":1,"messages":[{"role":"user","content":` + string(text) + `}]}`},
		"completions": {"/v1/completions", `{"model":"fake","max_tokens":1,"prompt":` + string(text) + `}`},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a := h.post(request.path, request.body); a.status != 200 {
					b.Fatal(a.status, a.body)
				}
			}
			b.ReportMetric(float64(len(fake.last().Prompt)), "tokens")
		})
	}
}

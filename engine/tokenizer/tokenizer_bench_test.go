package tokenizer

import (
	"encoding/json"
	"strings"
	"testing"
)

// english returns some megabytes of the pretraining text.
func english(b testing.TB) string {
	var all strings.Builder
	eachLine(b, readData(b, "pretrain", "storybooks.train.jsonl.gz"), func(line []byte) {
		var row struct{ Text string }
		if err := json.Unmarshal(line, &row); err != nil {
			b.Fatal(err)
		}
		all.WriteString(row.Text)
	})
	return all.String()
}

func BenchmarkEncode(b *testing.B) {
	text := english(b)
	for name, tok := range everyTokenizer(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var ids []int32
			for b.Loop() {
				ids = tok.Encode(ids[:0], text, EncodeOptions{})
			}
			b.ReportMetric(float64(len(text))/float64(len(ids)), "bytes/token")
		})
	}
}

func BenchmarkStream(b *testing.B) {
	tok := tiktokenData(b, "cl100k")
	ids := tok.Encode(nil, english(b)[:1<<18], EncodeOptions{})
	buf, s := make([]byte, 0, 1<<19), tok.Stream(true)
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for _, id := range ids {
			buf = s.Append(buf, id)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ids)), "ns/token")
}

func BenchmarkLongWord(b *testing.B) {
	tok := tiktokenData(b, "cl100k")
	word := strings.Repeat("a", 1<<20)
	b.SetBytes(int64(len(word)))
	var ids []int32
	for b.Loop() {
		ids = tok.Encode(ids[:0], word, EncodeOptions{})
	}
}

func BenchmarkLoad(b *testing.B) {
	for name, load := range map[string]func() (*Tokenizer, error){
		"gguf gpt-2":     func() (*Tokenizer, error) { return New(vocabMeta(b, "gpt-2")) },
		"gguf llama-spm": func() (*Tokenizer, error) { return New(vocabMeta(b, "llama-spm")) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := load(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	data := readData(b, "tokenizers", "hf-json", "gpt2-tokenizer.json.gz")
	b.Run("json gpt-2", func(b *testing.B) {
		for b.Loop() {
			if _, err := FromHF(HF{Tokenizer: data}); err != nil {
				b.Fatal(err)
			}
		}
	})
	ranks := readData(b, "tokenizers", "tiktoken", "cl100k_base.tiktoken.gz")
	b.Run("tiktoken cl100k", func(b *testing.B) {
		for b.Loop() {
			if _, err := FromTiktoken(ranks, "cl100k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package engine

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/ingot-llm/ingot/engine/batch"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/sched"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
)

// Ids of the byte tokenizer: three control tokens, then one token for each byte.
const (
	tokUnknown, tokBOS, tokEOS = 0, 1, 2
	tokByte                    = 3
	fakeVocab                  = tokByte + 256
)

func byteTokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tokens, kinds := []string{"<unk>", "<s>", "</s>"}, []int32{2, 3, 3}
	for b := range 256 {
		tokens, kinds = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(kinds, 6)
	}
	m := &quant.Meta{}
	m.Set("tokenizer.ggml.model", "llama")
	m.Set("tokenizer.ggml.tokens", tokens)
	m.Set("tokenizer.ggml.token_type", kinds)
	m.Set("tokenizer.ggml.scores", make([]float32, len(tokens)))
	m.Set("tokenizer.ggml.bos_token_id", uint32(tokBOS))
	m.Set("tokenizer.ggml.eos_token_id", uint32(tokEOS))
	m.Set("tokenizer.ggml.add_space_prefix", false)
	tok, err := tokenizer.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// abcModel says the alphabet: after the byte token of a letter it wants that of the next
// one, and after z the end token.
type abcModel struct {
	batch  *batch.Batch
	fail   func(b *batch.Batch) error
	poison int32 // a token after which the logits are NaN
}

func (m *abcModel) Run(b *batch.Batch) error {
	m.batch = b
	if m.fail != nil {
		return m.fail(b)
	}
	return nil
}

func (m *abcModel) Logits(i int) []float32 {
	last := m.batch.Tokens[m.batch.LogitRows[i]]
	logits := make([]float32, fakeVocab)
	next := last + 1
	if last >= tokByte+'z' || last < tokByte {
		next = tokEOS
	}
	logits[next] = 20
	if last == m.poison {
		logits[0] = float32(math.NaN())
	}
	return logits
}

func (m *abcModel) CopyBlock(src, dst int) {}

var errFake = errors.New("the fake model was told to fail")

func fakeEngine(t *testing.T, m *abcModel, change func(c *sched.Config)) *Engine {
	t.Helper()
	c := sched.Config{MaxSeqs: 8, MaxBatchTokens: 32, ChunkTokens: 16, MaxContext: 256, MaxWaiting: 8, Blocks: 64}
	if change != nil {
		change(&c)
	}
	e, err := New(Config{Model: m, Tokenizer: byteTokenizer(t), Sched: c, EndTokens: []int32{tokEOS}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// ask is a greedy request for what follows text.
func ask(text string, max int) Request {
	p := sample.Default()
	p.Temperature = 0
	r := Request{Sampling: p, N: 1, MaxTokens: max, Logprobs: -1, PromptLogprobs: -1}
	for _, b := range []byte(text) {
		r.Prompt = append(r.Prompt, tokByte+int32(b))
	}
	return r
}

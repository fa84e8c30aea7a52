package train

import (
	"context"
	"io"
	"math"
	"testing"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/quant/checkpoint"
)

// checkExported opens a model as the engine does and asks it for a token.
func checkExported(t *testing.T, dir string) {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.OpenSource(src, engine.Options{Model: dir, KVMemory: 16 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	stream, err := e.Submit(context.Background(), engine.Request{Prompt: []int32{5, 6}, N: 1, MaxTokens: 1, Sampling: sample.Default(), Logprobs: 0, PromptLogprobs: -1})
	if err != nil {
		t.Fatal(err)
	}
	for {
		event, err := stream.Next(context.Background())
		if err == io.EOF {
			return
		}
		if err != nil || event.Err != nil {
			t.Fatal(err, event.Err)
		}
		for _, token := range event.Tokens {
			if math.IsNaN(float64(token.Logprob)) || token.Logprob > 0 {
				t.Errorf("a token of log-probability %g", token.Logprob)
			}
		}
	}
}

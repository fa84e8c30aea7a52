package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant"
)

// sampleTokens is how long a sample is.
const sampleTokens = 64

// borrowed is a Source that is somebody else's to close.
type borrowed struct{ quant.Source }

// Close implements quant.Source.
func (borrowed) Close() error { return nil }

// sampleText returns how the serving engine goes on from prompt with the weights as they
// lie in training's memory, and with the adapter as it is.
func sampleText(ctx context.Context, n network, prompt string, threads int) (string, error) {
	o := engine.Options{Model: "training", Weights: "map", Threads: threads, MaxSeqs: 1, KVMemory: 64 << 20}
	name := ""
	if n.adapter != nil {
		name = "tuned"
		o.Adapters = []engine.Adapter{{Name: name, Adapter: n.adapter.snapshot()}}
	}
	e, err := engine.OpenSource(borrowed{n.source}, o, nil)
	if err != nil {
		return "", fmt.Errorf("cannot sample from the model: %w", err)
	}
	defer e.Close()
	params := sample.Default()
	params.Temperature, params.TopP, params.Seed, params.EOS = 0.8, 0.95, 1, e.Tokenizer().EOGs()
	ids := e.Tokenizer().Encode(nil, prompt, tokenizer.EncodeOptions{AddSpecial: true})
	stream, err := e.Submit(ctx, engine.Request{
		Prompt: ids, N: 1, MaxTokens: min(sampleTokens, e.Info().Context-len(ids)), Sampling: params, Logprobs: -1, PromptLogprobs: -1, Adapter: name,
	})
	if err != nil {
		return "", fmt.Errorf("cannot sample from the model: %w", err)
	}
	var text strings.Builder
	text.WriteString(prompt)
	for {
		event, err := stream.Next(ctx)
		if err == io.EOF {
			return text.String(), nil
		}
		if err = errors.Join(err, event.Err); err != nil {
			return "", err
		}
		text.WriteString(event.Text)
	}
}

package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// streamText returns a stream's text for each of n choices, and its last chunk.
func (w *world) streamText(ctx context.Context, n int, p openai.CompletionNewParams) ([]string, openai.Completion, error) {
	stream := w.text.Completions.NewStreaming(ctx, p)
	defer stream.Close()
	out := make([]string, n)
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			out[choice.Index] += choice.Text
		}
	}
	return out, stream.Current(), stream.Err()
}

func (w *world) stopLength(ctx context.Context) error {
	whole, err := w.text.Completions.New(ctx, tale())
	if err != nil {
		return err
	}
	before, _, found := strings.Cut(whole.Choices[0].Text, "there was")
	p := tale()
	p.Stop = openai.CompletionNewParamsStopUnion{OfStringArray: []string{"never in it", "there was"}}
	cut, err := w.text.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	streamed, last, err := w.streamText(ctx, 1, p)
	if err != nil {
		return err
	}
	short := greedy()
	short.MaxTokens, short.MaxCompletionTokens = openai.ChatCompletionNewParams{}.MaxTokens, openai.Int(5)
	five, err := w.chat.Chat.Completions.New(ctx, short)
	if err != nil {
		return err
	}
	return all(
		that(found && before != "", "the text has no stop string inside: %q", whole.Choices[0].Text),
		equal("text before the stop string", cut.Choices[0].Text, before),
		equal("streamed", streamed[0], before),
		equal("finish", string(cut.Choices[0].FinishReason), "stop"),
		equal("finish", string(last.Choices[0].FinishReason), "stop"),
		equal("finish", five.Choices[0].FinishReason, "length"),
		equal("tokens", five.Usage.CompletionTokens, 5),
	)
}

func (w *world) completionPrompts(ctx context.Context) error {
	one, err := w.text.Completions.New(ctx, tale(), option.WithJSONSet("return_token_ids", true))
	if err != nil {
		return err
	}
	var ids []int64
	if err := json.Unmarshal([]byte(one.Choices[0].JSON.ExtraFields["prompt_token_ids"].Raw()), &ids); err != nil {
		return err
	}
	findings := []error{that(strings.Contains(one.Choices[0].Text, "there was"), "no story: %q", one.Choices[0].Text)}
	for _, prompt := range []openai.CompletionNewParamsPromptUnion{
		{OfArrayOfStrings: []string{"Once upon a time", "Lily saw a dog"}},
		{OfArrayOfTokens: ids},
		{OfArrayOfTokenArrays: [][]int64{ids, ids}},
	} {
		p := tale()
		p.Prompt = prompt
		answer, err := w.text.Completions.New(ctx, p)
		if err != nil {
			return err
		}
		findings = append(findings,
			equal("choices", len(answer.Choices), max(1, len(prompt.OfArrayOfStrings), len(prompt.OfArrayOfTokenArrays))),
			equal("text", answer.Choices[0].Text, one.Choices[0].Text))
	}
	return all(findings...)
}

func (w *world) completionEcho(ctx context.Context) error {
	p := tale()
	p.Echo, p.Logprobs, p.MaxTokens = openai.Bool(true), openai.Int(2), openai.Int(0)
	scored, err := w.text.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	p.MaxTokens = openai.Int(8)
	more, err := w.text.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	a, b := scored.Choices[0].Logprobs, more.Choices[0].Logprobs
	return all(
		equal("text", scored.Choices[0].Text, "Once upon a time"),
		equal("number of tokens", int64(len(a.Tokens)), scored.Usage.PromptTokens),
		equal("number of log-probabilities", len(a.TokenLogprobs), len(a.Tokens)),
		equal("number of offsets", len(a.TextOffset), len(a.Tokens)),
		that(strings.Contains(a.RawJSON(), `"token_logprobs":[null,`), "the first token has a log-probability: %s", a.RawJSON()),
		that(strings.HasPrefix(more.Choices[0].Text, "Once upon a time"), "the prompt is not echoed"),
		equal("number of tokens", len(b.Tokens), len(a.Tokens)+8),
		that(slices.Equal(b.TokenLogprobs[:len(a.TokenLogprobs)], a.TokenLogprobs), "the prompt scores differ"),
	)
}

func (w *world) completionStream(ctx context.Context) error {
	p := tale()
	p.N, p.Seed, p.Temperature = openai.Int(2), openai.Int(3), openai.Float(0.8)
	whole, err := w.text.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	p.StreamOptions = usage()
	streamed, last, err := w.streamText(ctx, 2, p)
	if err != nil {
		return err
	}
	return all(
		equal("first", streamed[0], whole.Choices[0].Text),
		equal("second", streamed[1], whole.Choices[1].Text),
		equal("completion tokens", last.Usage.CompletionTokens, whole.Usage.CompletionTokens),
	)
}

func (w *world) manyAtOnce(ctx context.Context) error {
	alone, err := w.text.Completions.New(ctx, tale())
	if err != nil {
		return err
	}
	findings := make(chan error)
	const clients = 16
	for range clients {
		go func() {
			answer, err := w.text.Completions.New(ctx, tale())
			if err == nil {
				err = equal("text", answer.Choices[0].Text, alone.Choices[0].Text)
			}
			findings <- err
		}()
	}
	var found []error
	for range clients {
		found = append(found, <-findings)
	}
	return all(found...)
}

func (w *world) embeddings(ctx context.Context) error {
	p := openai.EmbeddingNewParams{Model: env("EMBED_MODEL"),
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a cat sat", "a dog ran away"}}}
	two, err := w.embed.Embeddings.New(ctx, p)
	if err != nil {
		return err
	}
	p.Input = openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a dog ran away")}
	one, err := w.embed.Embeddings.New(ctx, p)
	if err != nil {
		return err
	}
	return all(
		equal("number of vectors", len(two.Data), 2),
		equal("index", two.Data[1].Index, 1),
		that(len(two.Data[0].Embedding) > 0, "an empty vector"),
		that(!slices.Equal(two.Data[0].Embedding, two.Data[1].Embedding), "two texts have one vector"),
		that(slices.Equal(one.Data[0].Embedding, two.Data[1].Embedding), "alone differs from together"),
		equal("total", two.Usage.TotalTokens, two.Usage.PromptTokens),
	)
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/openai/openai-go/v3"
)

func (w *world) models(ctx context.Context) error {
	list, err := w.chat.Models.List(ctx)
	if err != nil {
		return err
	}
	one, err := w.chat.Models.Get(ctx, env("CHAT_MODEL"))
	if err != nil {
		return err
	}
	return all(
		equal("number of models", len(list.Data), 1),
		equal("name", list.Data[0].ID, env("CHAT_MODEL")),
		equal("name", one.ID, env("CHAT_MODEL")),
		that(one.Created > 1.6e9, "created is %d", one.Created),
	)
}

// streamChat returns all chunks.
func (w *world) streamChat(ctx context.Context, p openai.ChatCompletionNewParams) ([]openai.ChatCompletionChunk, error) {
	stream := w.chat.Chat.Completions.NewStreaming(ctx, p)
	defer stream.Close()
	var chunks []openai.ChatCompletionChunk
	for stream.Next() {
		chunks = append(chunks, stream.Current())
	}
	return chunks, stream.Err()
}

// contents joins a stream's pieces for each choice.
func contents(chunks []openai.ChatCompletionChunk, n int) []string {
	out := make([]string, n)
	for _, c := range chunks {
		for _, choice := range c.Choices {
			out[choice.Index] += choice.Delta.Content
		}
	}
	return out
}

func (w *world) chatStream(ctx context.Context) error {
	whole, err := w.chat.Chat.Completions.New(ctx, greedy())
	if err != nil {
		return err
	}
	chunks, err := w.streamChat(ctx, greedy())
	if err != nil {
		return err
	}
	last := chunks[len(chunks)-1]
	for _, c := range chunks {
		if c.ID != chunks[0].ID || c.Created != chunks[0].Created || c.JSON.Usage.Valid() {
			return fmt.Errorf("a chunk differs: %s", c.RawJSON())
		}
	}
	return all(
		equal("model", whole.Model, env("CHAT_MODEL")),
		equal("total", whole.Usage.TotalTokens, whole.Usage.PromptTokens+whole.Usage.CompletionTokens),
		equal("role", chunks[0].Choices[0].Delta.Role, "assistant"),
		that(whole.Choices[0].Message.Content != "", "no content"),
		equal("streamed", contents(chunks, 1)[0], whole.Choices[0].Message.Content),
		equal("finish", last.Choices[0].FinishReason, whole.Choices[0].FinishReason),
	)
}

func (w *world) chatUsage(ctx context.Context) error {
	whole, err := w.chat.Chat.Completions.New(ctx, greedy())
	if err != nil {
		return err
	}
	p := greedy()
	p.StreamOptions = usage()
	chunks, err := w.streamChat(ctx, p)
	if err != nil {
		return err
	}
	last := chunks[len(chunks)-1]
	return all(
		equal("choices of the last chunk", len(last.Choices), 0),
		equal("prompt tokens", last.Usage.PromptTokens, whole.Usage.PromptTokens),
		equal("completion tokens", last.Usage.CompletionTokens, whole.Usage.CompletionTokens),
		equal("usage of the first chunk", chunks[0].JSON.Usage.Raw(), "null"),
	)
}

func (w *world) chatAccumulator(ctx context.Context) error {
	whole, err := w.chat.Chat.Completions.New(ctx, greedy())
	if err != nil {
		return err
	}
	p := greedy()
	p.StreamOptions = usage()
	chunks, err := w.streamChat(ctx, p)
	if err != nil {
		return err
	}
	var sum openai.ChatCompletionAccumulator
	for _, c := range chunks {
		if !sum.AddChunk(c) {
			return fmt.Errorf("the accumulator refuses %s", c.RawJSON())
		}
	}
	return all(
		equal("content", sum.Choices[0].Message.Content, whole.Choices[0].Message.Content),
		equal("completion tokens", sum.Usage.CompletionTokens, whole.Usage.CompletionTokens),
	)
}

func (w *world) chatLogprobs(ctx context.Context) error {
	p := greedy()
	p.Logprobs, p.TopLogprobs = openai.Bool(true), openai.Int(5)
	whole, err := w.chat.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	chunks, err := w.streamChat(ctx, p)
	if err != nil {
		return err
	}
	var streamed []openai.ChatCompletionTokenLogprob
	for _, c := range chunks {
		streamed = append(streamed, c.Choices[0].Logprobs.Content...)
	}
	tokens := whole.Choices[0].Logprobs.Content
	same := func(a, b openai.ChatCompletionTokenLogprob) bool { return a.RawJSON() == b.RawJSON() }
	findings := []error{
		equal("number of tokens", int64(len(tokens)), whole.Usage.CompletionTokens),
		that(slices.EqualFunc(tokens, streamed, same), "streamed log-probabilities differ"),
	}
	for _, t := range tokens {
		falling := slices.IsSortedFunc(t.TopLogprobs, func(a, b openai.ChatCompletionTokenLogprobTopLogprob) int {
			return cmp.Compare(b.Logprob, a.Logprob)
		})
		findings = append(findings, equal("alternatives", len(t.TopLogprobs), 5), that(falling, "not sorted: %s", t.RawJSON()),
			equal("the likeliest at temperature 0", t.TopLogprobs[0].Logprob, t.Logprob))
	}
	return all(findings...)
}

func (w *world) chatChoices(ctx context.Context) error {
	p := greedy()
	p.Temperature, p.Seed, p.N = openai.Float(1), openai.Int(7), openai.Int(2)
	first, err := w.chat.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	again, err := w.chat.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	chunks, err := w.streamChat(ctx, p)
	if err != nil {
		return err
	}
	p.Seed = openai.Int(8)
	other, err := w.chat.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	findings := []error{equal("number of choices", len(first.Choices), 2),
		that(first.Choices[0].Message.Content != first.Choices[1].Message.Content, "both choices are equal"),
		that(first.Choices[0].Message.Content != other.Choices[0].Message.Content, "another seed gives the same")}
	for i, choice := range first.Choices {
		findings = append(findings, equal("index", choice.Index, int64(i)),
			equal("again", again.Choices[i].Message.Content, choice.Message.Content),
			equal("streamed", contents(chunks, 2)[i], choice.Message.Content))
	}
	return all(findings...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

// statuses asks for what must be refused and compares status and code.
func (w *world) statuses(ctx context.Context) error {
	ask := func(client openai.Client, edit func(*openai.ChatCompletionNewParams), opts ...option.RequestOption) error {
		p := greedy()
		edit(&p)
		_, err := client.Chat.Completions.New(ctx, p, opts...)
		return err
	}
	same := func(*openai.ChatCompletionNewParams) {}
	size, _ := strconv.Atoi(env("TOO_LARGE"))
	_, noModel := w.chat.Models.Get(ctx, "gpt-0")
	_, noRoute := w.chat.Files.List(ctx, openai.FileListParams{})
	_, noEncoder := w.text.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: env("TEXT_MODEL"),
		Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a")}})
	err := all(
		refused(ask(w.chat, func(p *openai.ChatCompletionNewParams) { p.Temperature = openai.Float(3) }), 400, "", "temperature"),
		refused(ask(w.chat, same, option.WithJSONSet("messages", "hello")), 400, "", "messages"),
		refused(ask(w.chat, same, option.WithJSONSet("response_format.type", "json_object")), 400, "", "response_format"),
		refused(ask(w.chat, func(p *openai.ChatCompletionNewParams) { p.MaxTokens = openai.Int(4096) }), 400, "context_length_exceeded", ""),
		refused(ask(w.embed, func(p *openai.ChatCompletionNewParams) { p.Model = env("EMBED_MODEL") }), 400, "", ""),
		refused(noEncoder, 400, "", ""),
		refused(ask(connect("CHAT", option.WithAPIKey("not-the-key")), same), 401, "invalid_api_key", ""),
		refused(ask(w.chat, same, option.WithHeader("Origin", "https://elsewhere.example")), 403, "", ""),
		refused(ask(w.chat, func(p *openai.ChatCompletionNewParams) { p.Model = "gpt-0" }), 404, "model_not_found", ""),
		refused(noModel, 404, "model_not_found", ""),
		refused(noRoute, 404, "", ""),
		refused(ask(w.chat, func(p *openai.ChatCompletionNewParams) {
			p.Messages = append(p.Messages, openai.UserMessage(strings.Repeat("x", size)))
		}), 413, "body_too_large", ""),
	)
	_, alive := w.chat.Models.List(ctx)
	return all(err, alive)
}

// refused is nil if err is the client's own error with this status and, where given,
// code and field.
func refused(err error, status int, code, param string) error {
	var e *openai.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("want status %d, got %v", status, err)
	}
	found := []error{equal("status", e.StatusCode, status), that(e.Message != "", "status %d has no message", status)}
	if code != "" {
		found = append(found, equal("code", e.Code, code))
	}
	if param != "" {
		found = append(found, equal("param", e.Param, param))
	}
	return all(found...)
}

func (w *world) overload(ctx context.Context) error {
	ask := func(client openai.Client) error {
		p := tale()
		p.Model, p.MaxTokens = openai.CompletionNewParamsModel(env("BUSY_MODEL")), openai.Int(200)
		_, err := client.Completions.New(ctx, p, option.WithJSONSet("ignore_eos", true))
		return err
	}
	turnedAway, findings := 0, []error{}
	for _, err := range atOnce(8, func() error { return ask(w.busy) }) {
		if err != nil {
			turnedAway++
			findings = append(findings, refused(err, 429, "overloaded", ""))
		}
	}
	findings = append(findings, that(turnedAway > 0 && turnedAway < 8, "%d of 8 refused", turnedAway))
	patient := connect("BUSY", option.WithMaxRetries(20))
	findings = append(findings, atOnce(4, func() error { return ask(patient) })...)
	return all(findings...)
}

// atOnce runs f n times at once.
func atOnce(n int, f func() error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errs
}

func (w *world) abort(ctx context.Context) error {
	before, err := metric(ctx, "vllm:generation_tokens_total")
	if err != nil {
		return err
	}
	p, more := flood()
	stream := w.text.Completions.NewStreaming(ctx, p, more)
	for range 3 {
		if !stream.Next() {
			return fmt.Errorf("the stream ended: %w", stream.Err())
		}
	}
	stream.Close()
	for deadline := time.Now().Add(5 * time.Second); ; {
		running, err := metric(ctx, "vllm:num_requests_running")
		if err != nil {
			return err
		}
		if running == 0 {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("still running")
		}
	}
	after, err := metric(ctx, "vllm:generation_tokens_total")
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, late := w.text.Completions.New(soon, p, more)
	return all(
		that(after-before < 16*480, "all %v tokens were made", after-before),
		that(errors.Is(late, context.DeadlineExceeded), "want the deadline's error, got %v", late),
	)
}

// metric reads one value of the text server.
func metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", env("TEXT_URL")+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+env("KEY"))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
			return strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		}
	}
	return 0, fmt.Errorf("no metric %q", name)
}

func (w *world) midStream(ctx context.Context) error {
	p, more := flood()
	stream := w.drain.Completions.NewStreaming(ctx, p, more)
	defer stream.Close()
	if !stream.Next() {
		return fmt.Errorf("the stream ended: %w", stream.Err())
	}
	answer, err := http.Post(env("DRAIN_CONTROL"), "", nil)
	if err != nil {
		return err
	}
	answer.Body.Close()
	for stream.Next() {
	}
	var told *ssestream.StreamError
	if !errors.As(stream.Err(), &told) {
		return fmt.Errorf("want a StreamError, got %v", stream.Err())
	}
	_, gone := w.drain.Models.List(ctx)
	var e *openai.Error
	return all(
		that(strings.Contains(string(told.Event.Data), "shutting_down"), "the error does not say why: %s", told.Event.Data),
		that(gone != nil && !errors.As(gone, &e), "want no connection, got %v", gone),
	)
}

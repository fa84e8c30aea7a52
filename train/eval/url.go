package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Endpoint is a Scorer of any server with OpenAI's /v1/completions that echoes the prompt
// with log-probabilities. Its texts are those that an engine here would get; the server
// divides them into tokens, and a token belongs to the ending if it ends behind the context.
type Endpoint struct {
	base, key, model string
	window           int           // bytes of a text that is scored at once
	pause            time.Duration // before a busy or failing server is asked again; then twice as long
	client           http.Client
}

// bytesPerToken is how many bytes of a text a token of the context's length is counted as:
// no tokenizer of English gives less, and a server refuses what is too long for it.
const bytesPerToken = 2

// Dial returns the endpoint of a server's address, with or without /v1. An empty model is
// the server's first. key may be empty.
func Dial(ctx context.Context, url, key, model string) (*Endpoint, error) {
	e := &Endpoint{base: strings.TrimSuffix(strings.TrimRight(url, "/"), "/v1") + "/v1", key: key, model: model, window: 1024, pause: 500 * time.Millisecond}
	var list struct {
		Data []struct {
			ID     string `json:"id"`
			Length int    `json:"max_model_len"` // of vLLM and Ingot
		} `json:"data"`
	}
	if err := e.ask(ctx, http.MethodGet, "/models", nil, &list); err != nil {
		return nil, err
	}
	for _, m := range list.Data {
		if e.model == "" {
			e.model = m.ID
		}
		if m.ID == e.model && m.Length > 0 {
			e.window = m.Length * bytesPerToken
		}
	}
	if e.model == "" {
		return nil, fmt.Errorf("%s lists no model: name one", e.base)
	}
	return e, nil
}

// Model returns the name of the model that is asked.
func (e *Endpoint) Model() string { return e.model }

// completion is a request to /v1/completions.
type completion struct {
	Model       string   `json:"model"`
	Prompt      []string `json:"prompt"`
	MaxTokens   int      `json:"max_tokens"`
	Temperature float64  `json:"temperature"`
	Echo        bool     `json:"echo,omitempty"`
	Logprobs    int      `json:"logprobs,omitempty"`
	Stop        []string `json:"stop,omitempty"`
}

// choice is what matters of an answer.
type choice struct {
	Index    int          `json:"index"`
	Text     string       `json:"text"`
	Logprobs echoedTokens `json:"logprobs"`
}

// echoedTokens are lists with an entry for each token of prompt and answer.
type echoedTokens struct {
	Logprobs []*float64           `json:"token_logprobs"` // null where nothing stands before it
	Tops     []map[string]float64 `json:"top_logprobs"`
	Offsets  []int                `json:"text_offset"` // in characters
}

// complete returns the completions of c's prompts, in their order.
func (e *Endpoint) complete(ctx context.Context, c completion) ([]choice, error) {
	c.Model = e.model
	var out struct {
		Choices []choice `json:"choices"`
	}
	if err := e.ask(ctx, http.MethodPost, "/completions", c, &out); err != nil {
		return nil, err
	}
	if len(out.Choices) != len(c.Prompt) {
		return nil, fmt.Errorf("%s: %d completions came for %d prompts", e.base, len(out.Choices), len(c.Prompt))
	}
	slices.SortFunc(out.Choices, func(a, b choice) int { return a.Index - b.Index })
	return out.Choices, nil
}

// Score implements Scorer. Without context the first token of a text, or of a window of a
// long one, is scored only where the server puts BOS before it.
func (e *Endpoint) Score(ctx context.Context, before string, endings []string) ([]Likelihood, error) {
	if before == "" {
		return e.scoreTexts(ctx, endings)
	}
	for {
		found, err := e.score(ctx, before, endings)
		if before = shorter(before, err); before == "" {
			return found, err
		}
	}
}

// scoreTexts scores texts without context, window by window.
func (e *Endpoint) scoreTexts(ctx context.Context, texts []string) ([]Likelihood, error) {
	out := make([]Likelihood, len(texts))
	for i, text := range texts {
		out[i].Greedy = true
		for text != "" {
			n := cut(text, e.window)
			part, err := e.score(ctx, "", []string{text[:n]})
			if err != nil {
				return nil, err
			}
			out[i].add(part[0])
			text = text[n:]
		}
	}
	return out, nil
}

func (l *Likelihood) add(part Likelihood) {
	l.Logprob += part.Logprob
	l.Tokens += part.Tokens
	l.Bytes += part.Bytes
	l.Greedy = l.Greedy && part.Greedy
}

func (e *Endpoint) score(ctx context.Context, before string, endings []string) ([]Likelihood, error) {
	c := completion{MaxTokens: 1, Echo: true, Logprobs: 1}
	for _, end := range endings {
		c.Prompt = append(c.Prompt, before+end)
	}
	choices, err := e.complete(ctx, c)
	if err != nil {
		return nil, err
	}
	known := utf8.RuneCountInString(strings.TrimRightFunc(before, unicode.IsSpace))
	out := make([]Likelihood, len(endings))
	for i := range out {
		if out[i], err = choices[i].Logprobs.between(c.Prompt[i], known); err != nil {
			return nil, fmt.Errorf("%s: %w", e.base, err)
		}
		if before != "" {
			out[i].Bytes = len(endings[i])
		}
	}
	return out, nil
}

// between returns the likelihood of those tokens of an echoed prompt that end behind its
// first known characters.
func (t *echoedTokens) between(prompt string, known int) (l Likelihood, err error) {
	if len(t.Offsets) == 0 || len(t.Logprobs) != len(t.Offsets) || len(t.Tops) != len(t.Offsets) {
		return l, errors.New("the answer has no log-probabilities of the prompt: the server must know echo with logprobs")
	}
	if !slices.IsSorted(t.Offsets) || t.Offsets[0] < 0 {
		return l, fmt.Errorf("the offsets of the prompt's tokens do not rise: %v", t.Offsets)
	}
	l.Greedy = true
	chars := []rune(prompt)
	for i, start := range t.Offsets {
		end := len(chars)
		if i+1 < len(t.Offsets) {
			end = min(end, t.Offsets[i+1])
		}
		if start >= len(chars) {
			break // the answer
		}
		if end <= known || t.Logprobs[i] == nil {
			continue
		}
		l.Logprob += *t.Logprobs[i]
		l.Tokens++
		l.Bytes += len(string(chars[start:end]))
		for _, p := range t.Tops[i] {
			l.Greedy = l.Greedy && *t.Logprobs[i] >= p
		}
	}
	return l, nil
}

// Generate implements Scorer.
func (e *Endpoint) Generate(ctx context.Context, prompt string, stop []string, maxTokens int) (string, error) {
	for {
		found, err := e.complete(ctx, completion{Prompt: []string{prompt}, MaxTokens: maxTokens, Stop: stop})
		if err == nil {
			return found[0].Text, nil
		}
		if prompt = shorter(prompt, err); prompt == "" {
			return "", err
		}
	}
}

// shorter returns the last three quarters of a text that was refused because it is too
// long, or nothing to try.
func shorter(text string, err error) string {
	var refused *StatusError
	if !errors.As(err, &refused) || refused.Code != "context_length_exceeded" && !strings.Contains(refused.Message, "context length") {
		return ""
	}
	return strings.ToValidUTF8(text[(len(text)+3)/4:], "")
}

// StatusError is an answer that is no success.
type StatusError struct {
	Status        int
	Code, Message string // as OpenAI's errors have them; may be empty
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
}

// Of requests: an answer's size, and how often a server is asked.
const (
	maxAnswer = 256 << 20
	tries     = 6
)

// ask sends a request with a JSON body, if any, and reads the JSON answer.
func (e *Endpoint) ask(ctx context.Context, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for try := 1; ; try++ {
		err := e.once(ctx, method, path, text, answer)
		var status *StatusError
		busy := errors.As(err, &status) && (status.Status == http.StatusTooManyRequests || status.Status >= 500)
		if err == nil || !busy || try == tries {
			return err
		}
		select {
		case <-time.After(e.pause << (try - 1)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *Endpoint) once(ctx context.Context, method, path string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, e.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if e.key != "" {
		req.Header.Set("Authorization", "Bearer "+e.key)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", e.base, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: the answer of %s is no JSON of OpenAI's form: %w", e.base, path, err)
	}
	return nil
}

// refusal reads an error in OpenAI's form, else shows the beginning of what came.
func refusal(status int, text []byte) *StatusError {
	var body struct {
		Error struct {
			Message string `json:"message"`
			Code    any    `json:"code"`
		} `json:"error"`
	}
	e := &StatusError{Status: status}
	if json.Unmarshal(text, &body) == nil && body.Error.Message != "" {
		e.Message = body.Error.Message
		e.Code, _ = body.Error.Code.(string)
		return e
	}
	e.Message = strings.ToValidUTF8(string(text[:min(len(text), 200)]), "")
	return e
}

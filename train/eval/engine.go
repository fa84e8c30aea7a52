package eval

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// engineScorer asks an engine in this process. Its tokens are the harness's: the ending's
// are those of the whole text behind as many as the context alone has.
type engineScorer struct {
	engine *engine.Engine
	prefix []int32 // begins every text: BOS where the model wants it
	first  []int32 // begins a text without context, which needs a token to stand before it
}

// FromEngine returns a Scorer of an engine's model, which stays the caller's to close.
func FromEngine(e *engine.Engine) (Scorer, error) {
	if info := e.Info(); !info.Generates {
		return nil, fmt.Errorf("%s is a %s model that does not generate text", info.ID, info.Arch)
	}
	t := e.Tokenizer()
	s := &engineScorer{engine: e}
	if t.AddsBOS() {
		s.prefix = []int32{t.BOS()}
	}
	for _, id := range []int32{t.BOS(), t.EOS()} {
		if id >= 0 && s.first == nil {
			s.first = []int32{id}
		}
	}
	return s, nil
}

// Score implements Scorer. The first ending is scored alone, so that the others find the
// context in the prefix cache.
func (s *engineScorer) Score(ctx context.Context, before string, endings []string) ([]Likelihood, error) {
	out := make([]Likelihood, len(endings))
	score := func(ctx context.Context, i int) (err error) {
		out[i], err = s.score(ctx, before, endings[i])
		return err
	}
	if err := score(ctx, 0); err != nil {
		return nil, err
	}
	rest := len(endings) - 1
	return out, each(ctx, rest, rest, nil, func(ctx context.Context, i int) error { return score(ctx, i+1) })
}

func (s *engineScorer) score(ctx context.Context, before, ending string) (l Likelihood, err error) {
	ids, from := s.split(before, ending)
	if from == 0 {
		return l, errors.New("the model has neither BOS nor EOS to stand before a text without context")
	}
	l = Likelihood{Bytes: len(ending), Greedy: true}
	for w := range windows(len(ids), from, s.engine.Info().Context) {
		if err := s.window(ctx, ids[w.start:w.end], w.from-w.start, &l); err != nil {
			return l, err
		}
	}
	return l, nil
}

// split returns the tokens of a text and how many of them are context. Spaces at the
// context's end count as the ending's, since tokens begin with the space before a word.
func (s *engineScorer) split(before, ending string) (ids []int32, from int) {
	t := s.engine.Tokenizer()
	prefix := s.prefix
	if before == "" && len(prefix) == 0 {
		prefix = s.first
	}
	known := strings.TrimRightFunc(before, unicode.IsSpace)
	from = len(prefix) + len(t.Encode(nil, known, tokenizer.EncodeOptions{}))
	ids = t.Encode(append([]int32(nil), prefix...), before+ending, tokenizer.EncodeOptions{})
	return ids, min(from, len(ids))
}

// window is a run of tokens that the model reads at once, of which it scores those from on.
type window struct{ start, from, end int }

// windows divides n tokens, of which those before from are context, into windows of at
// most limit. Each but the first scores as many as it can, after one token at least.
func windows(n, from, limit int) iter.Seq[window] {
	return func(yield func(window) bool) {
		for at := from; at < n; {
			end := min(n, max(limit, at+limit-1))
			if n-from < limit {
				end = n // the context gives way
			}
			if !yield(window{max(0, end-limit), at, end}) {
				return
			}
			at = end
		}
	}
}

// window adds the likelihood of a window's tokens from on.
func (s *engineScorer) window(ctx context.Context, ids []int32, from int, l *Likelihood) error {
	stream, err := s.engine.Submit(ctx, engine.Request{
		Prompt: ids, N: 1, Sampling: greedy(), Logprobs: -1, PromptLogprobs: 1, ScoreFrom: from,
	})
	if err != nil {
		return err
	}
	if _, err := text(ctx, stream); err != nil {
		return err
	}
	for _, tok := range stream.Prompt()[from:] {
		l.Logprob += float64(tok.Logprob)
		l.Tokens++
		l.Greedy = l.Greedy && tok.Logprob >= tok.Top[0].Logprob
	}
	return nil
}

// Generate implements Scorer.
func (s *engineScorer) Generate(ctx context.Context, prompt string, stop []string, maxTokens int) (string, error) {
	ids := s.engine.Tokenizer().Encode(append([]int32(nil), s.prefix...), prompt, tokenizer.EncodeOptions{})
	room := s.engine.Info().Context - maxTokens
	if room < 1 {
		return "", fmt.Errorf("an answer may take %d tokens, and the context holds %d: raise --context", maxTokens, s.engine.Info().Context)
	}
	ids = ids[max(0, len(ids)-room):]
	stream, err := s.engine.Submit(ctx, engine.Request{
		Prompt: ids, N: 1, MaxTokens: maxTokens, Stop: stop, Sampling: greedy(), Logprobs: -1, PromptLogprobs: -1,
	})
	if err != nil {
		return "", err
	}
	return text(ctx, stream)
}

func greedy() sample.Params {
	p := sample.Default()
	p.Temperature = 0
	return p
}

// text reads a stream to its end.
func text(ctx context.Context, stream *engine.Stream) (string, error) {
	defer stream.Close()
	var b strings.Builder
	for {
		event, err := stream.Next(ctx)
		if err == io.EOF {
			return b.String(), nil
		}
		if err = errors.Join(err, event.Err); err != nil {
			return "", err
		}
		b.WriteString(event.Text)
	}
}

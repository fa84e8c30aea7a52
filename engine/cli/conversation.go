package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/chat/jinja"
	"github.com/ingot-llm/ingot/engine/sample"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// voice is an opened model, as far as a conversation needs it.
type voice struct {
	submit    func(context.Context, engine.Request) (*engine.Stream, error)
	tokenizer *tokenizer.Tokenizer
	chat      *chat.Format // nil if the model has no template: it completes text
	context   int          // tokens
	reading   *reading     // told of each prompt; may be nil
}

// generation says how answers are drawn.
type generation struct {
	sampling  sample.Params
	seed      uint64 // 0 = another one for each answer
	maxTokens int    // 0 = until the context is full
}

func newGeneration() generation { return generation{sampling: sample.Default()} }

// addFlags defines the settings, whose defaults are the model's.
func (g *generation) addFlags(fs *pflag.FlagSet) {
	p := &g.sampling
	fs.Float32Var(&p.Temperature, "temperature", p.Temperature, "randomness of the answer; 0 takes the most probable token")
	fs.IntVar(&p.TopK, "top-k", p.TopK, "draw from the `k` most probable tokens; 0 for all")
	fs.Float32Var(&p.TopP, "top-p", p.TopP, "draw from the most probable tokens that make up this share")
	fs.Float32Var(&p.MinP, "min-p", p.MinP, "draw from tokens of at least this share of the best one's probability")
	fs.Float32Var(&p.RepetitionPenalty, "repetition-penalty", p.RepetitionPenalty, "makes tokens that have occurred less probable; 1 for none")
	fs.Uint64Var(&g.seed, "seed", g.seed, "same seed, same answer; 0 for another one each time")
	fs.IntVar(&g.maxTokens, "max-tokens", g.maxTokens, "longest answer in tokens; 0 until the context is full")
	for _, name := range []string{"temperature", "top-k", "top-p", "min-p", "repetition-penalty"} {
		f := fs.Lookup(name)
		f.Usage, f.DefValue = f.Usage+" (default: the model's)", "0" // so that pflag shows no number
	}
}

// over returns the model's own settings with those of the flags that were given.
func (g *generation) over(model sample.Params, given *pflag.FlagSet) (generation, error) {
	out := generation{sampling: model}
	fs := pflag.NewFlagSet("generation", pflag.ContinueOnError)
	out.addFlags(fs)
	var err error
	fs.VisitAll(func(f *pflag.Flag) {
		if from := given.Lookup(f.Name); from != nil && from.Changed {
			err = errors.Join(err, fs.Set(f.Name, from.Value.String()))
		}
	})
	return out, err
}

// validate says what is wrong with the settings for a vocabulary of vocab tokens.
func (g *generation) validate(vocab int) error {
	if g.maxTokens < 0 {
		return fmt.Errorf("max-tokens is %d, want at least 0", g.maxTokens)
	}
	return g.sampling.Validate(vocab)
}

// params returns what the next answer is drawn with.
func (g *generation) params() sample.Params {
	p := g.sampling
	if p.Seed = g.seed; p.Seed == 0 {
		p.Seed = rand.Uint64()
	}
	return p
}

// turn is a message of a conversation.
type turn struct{ role, text string }

// conversation is a chat with a model, or a series of completions that know nothing of
// each other where the model has no chat template. One goroutine at a time.
type conversation struct {
	voice      voice
	generation generation
	system     string
	turns      []turn
}

// answer sends a message, hands the parts of the answer to show as they come, and
// remembers both. Where ctx ends before the answer does, what has come is remembered and
// ctx's error returned; after any other error the message is forgotten.
func (c *conversation) answer(ctx context.Context, message string, show func(chat.Event) error) (engine.Usage, error) {
	said := append(c.turns, turn{"user", strings.ToValidUTF8(message, "\uFFFD")})
	text, ids, err := c.prompt(said)
	if err != nil {
		return engine.Usage{}, err
	}
	c.voice.reading.begin(len(ids))
	defer c.voice.reading.end()
	stream, err := c.submit(ctx, ids)
	if err != nil {
		return engine.Usage{}, err
	}
	defer stream.Close()
	m, err := c.listen(ctx, stream, text, show)
	if err == nil || ctx.Err() != nil {
		c.turns = append(said, turn{"assistant", m.Content})
	}
	return stream.Usage(), err
}

// prompt returns the model's prompt as text and as tokens.
func (c *conversation) prompt(turns []turn) (string, []int32, error) {
	v := &c.voice
	if v.chat == nil {
		text := turns[len(turns)-1].text
		return text, v.tokenizer.Encode(nil, text, tokenizer.EncodeOptions{AddSpecial: true}), nil
	}
	var messages []jinja.Value
	if c.system != "" {
		messages = append(messages, message("system", c.system))
	}
	for _, t := range turns {
		messages = append(messages, message(t.role, t.text))
	}
	segments, err := v.chat.Render(jinja.ListOf(messages...), jinja.None(), jinja.None(), true, time.Now())
	if err != nil {
		return "", nil, fmt.Errorf("the chat template: %w", err)
	}
	trusted := make([]tokenizer.Segment, len(segments))
	for i, s := range segments {
		trusted[i] = tokenizer.Segment(s)
	}
	return chat.Join(segments), v.tokenizer.EncodeSegments(nil, trusted), nil
}

func message(role, text string) jinja.Value {
	d := jinja.NewDict(2)
	d.Set("role", jinja.Text(role))
	d.Set("content", jinja.Text(text))
	return jinja.DictOf(d)
}

func (c *conversation) submit(ctx context.Context, ids []int32) (*engine.Stream, error) {
	if len(ids) == 0 {
		return nil, errors.New("the prompt is empty: give some text")
	}
	room := c.voice.context - len(ids)
	if room < 1 {
		return nil, fmt.Errorf("the conversation has %d tokens, which fill the context of %d: begin anew with /clear, or set a larger --context", len(ids), c.voice.context)
	}
	if c.generation.maxTokens > 0 {
		room = min(room, c.generation.maxTokens)
	}
	return c.voice.submit(ctx, engine.Request{
		Prompt: ids, Sampling: c.generation.params(), N: 1, MaxTokens: room, Logprobs: -1, PromptLogprobs: -1,
		KeepSpecial: c.voice.chat != nil && c.voice.chat.Family().Marked(),
	})
}

// listen reads an answer to its end.
func (c *conversation) listen(ctx context.Context, s *engine.Stream, prompt string, show func(chat.Event) error) (chat.Message, error) {
	var m chat.Message
	feed, end := plainText, func() []chat.Event { return nil }
	if c.voice.chat != nil {
		p := c.voice.chat.Parser(prompt)
		feed, end = p.Feed, p.Close
	}
	pass := func(events []chat.Event) (err error) {
		for _, e := range events {
			m.Add(e)
			err = errors.Join(err, show(e))
		}
		return err
	}
	for {
		ev, err := s.Next(ctx)
		c.voice.reading.end()
		if errors.Is(err, io.EOF) {
			return m, pass(end())
		}
		if err == nil {
			err = errors.Join(ev.Err, pass(feed(ev.Text)))
		}
		if err != nil {
			return m, err
		}
	}
}

// plainText is the parser of a model without a chat format.
func plainText(text string) []chat.Event {
	if text == "" {
		return nil
	}
	return []chat.Event{{Kind: chat.Content, Text: text}}
}

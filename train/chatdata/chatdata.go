// Package chatdata turns conversations into tokens to fine-tune on: rendered by the very
// template that serves them, learned where the assistant speaks.
//
// A line is an object of one of these forms:
//
//	OpenAI              {"messages": [{"role", "content", ...}], "tools": [...]}
//	ShareGPT            {"conversations": [{"from": "human" | "gpt" | "system", "value"}]}
//	Alpaca              {"instruction", "input", "output"}
//	prompt, completion  {"prompt", "completion"}, {"question", "answer"}
package chatdata

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/chat/jinja"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// Conversation is OpenAI's form.
type Conversation struct {
	Messages []json.RawMessage `json:"messages"`
	Tools    json.RawMessage   `json:"tools,omitempty"`
	roles    []string
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// line is all forms together.
type line struct {
	Conversation
	Conversations []struct {
		From  string `json:"from"`
		Value string `json:"value"`
	} `json:"conversations"`
	System      string  `json:"system"`
	Instruction *string `json:"instruction"`
	Input       string  `json:"input"`
	Output      *string `json:"output"`
	Prompt      *string `json:"prompt"`
	Completion  *string `json:"completion"`
	Question    *string `json:"question"`
	Answer      *string `json:"answer"`
}

// shareGPT are that form's names of roles.
var shareGPT = map[string]string{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}

// Parse reads a line.
func Parse(data []byte) (c Conversation, err error) {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return c, fmt.Errorf("no conversation: %w", err)
	}
	c = l.Conversation
	switch {
	case len(c.Messages) > 0:
	case len(l.Conversations) > 0:
		err = c.fromShareGPT(&l)
	case l.Instruction != nil && l.Output != nil:
		c.turn(l.System, strings.TrimSpace(*l.Instruction+"\n\n"+l.Input), *l.Output)
	case l.Prompt != nil && l.Completion != nil:
		c.turn(l.System, *l.Prompt, *l.Completion)
	case l.Question != nil && l.Answer != nil:
		c.turn(l.System, *l.Question, *l.Answer)
	default:
		err = errors.New("no conversation: want messages, conversations, instruction and output, or prompt and completion")
	}
	if err != nil {
		return c, err
	}
	return c, c.check()
}

// fieldName is a place in a question.
var fieldName = regexp.MustCompile(`\{(\w+)\}`)

// Ask makes a conversation of an object's line: the user says question, in which {field}
// stands for a field's text, and the assistant answers with the text of the field answer.
func Ask(data []byte, question, answer string) (c Conversation, err error) {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return c, fmt.Errorf("no object: %w", err)
	}
	text := func(name string) string {
		s, ok := fields[name].(string)
		if !ok && err == nil {
			err = fmt.Errorf("the field %q is no text", name)
		}
		return s
	}
	asked := fieldName.ReplaceAllStringFunc(question, func(place string) string { return text(place[1 : len(place)-1]) })
	c.turn("", asked, text(answer))
	if err != nil {
		return c, err
	}
	return c, c.check()
}

func (c *Conversation) turn(system, user, assistant string) {
	if system != "" {
		c.say("system", system)
	}
	c.say("user", user)
	c.say("assistant", assistant)
}

func (c *Conversation) say(role, content string) {
	text, _ := json.Marshal(message{role, content}) // strings always can
	c.Messages = append(c.Messages, text)
}

func (c *Conversation) fromShareGPT(l *line) error {
	if l.System != "" {
		c.say("system", l.System)
	}
	for i, m := range l.Conversations {
		role, ok := shareGPT[m.From]
		if !ok {
			return fmt.Errorf("turn %d is from %q: want human, gpt or system", i, m.From)
		}
		c.say(role, m.Value)
	}
	return nil
}

// check notes the roles; an assistant must speak.
func (c *Conversation) check() error {
	spoken := false
	for i, raw := range c.Messages {
		var m struct {
			Role string `json:"role"`
		}
		if err := json.Unmarshal(raw, &m); err != nil || m.Role == "" {
			return fmt.Errorf("message %d has no role", i)
		}
		c.roles = append(c.roles, m.Role)
		spoken = spoken || m.Role == "assistant"
	}
	if !spoken {
		return errors.New("the assistant says nothing in it")
	}
	return nil
}

// Text returns what is said in the conversation, message by message.
func (c *Conversation) Text() string {
	said := make([]string, len(c.Messages))
	for i, raw := range c.Messages {
		var m struct {
			Content any `json:"content"`
		}
		_ = json.Unmarshal(raw, &m) // has a role: is an object
		said[i] = contentText(m.Content)
	}
	return strings.Join(said, "\n\n")
}

// contentText returns the text of a message's content: a string, or a list of parts.
func contentText(content any) string {
	parts, _ := content.([]any)
	text, _ := content.(string)
	for _, p := range parts {
		if part, ok := p.(map[string]any); ok {
			text += contentText(part["text"])
		}
	}
	return text
}

// Example is a conversation as tokens.
type Example struct {
	Tokens  []int32
	Learned []bool // of each token: the assistant's, with what ends its turn
	Bytes   int    // of the rendered text
}

// Encode renders and tokenizes c. What the assistant says in a turn is what the template
// adds to the prompt that asks for it, and it is tokenized apart from the prompt, as it is
// where a model says it. Earlier turns that the template shows otherwise once they are
// past, such as without their reasoning, are not learned.
func Encode(c Conversation, f *chat.Format, t *tokenizer.Tokenizer) (e Example, err error) {
	whole, err := c.render(f, len(c.Messages), false)
	if err != nil {
		return e, err
	}
	text, at := chat.Join(whole), 0
	e.Bytes = len(text)
	for i, role := range c.roles {
		if role != "assistant" {
			continue
		}
		from, to, err := c.span(f, i, text)
		if err != nil {
			return e, err
		}
		if from < at || to <= from {
			continue // shown otherwise
		}
		e.add(t, between(whole, at, from), false)
		e.add(t, between(whole, from, to), true)
		at = to
	}
	if at == 0 {
		return e, errors.New("the template does not show what the assistant says as a continuation of the prompt")
	}
	e.add(t, between(whole, at, len(text)), false)
	return e, nil
}

// span returns where text, the whole conversation, shows assistant message i; nothing
// where it shows it otherwise than at its time.
func (c *Conversation) span(f *chat.Format, i int, text string) (from, to int, err error) {
	prompt, err := c.render(f, i, true)
	if err != nil {
		return 0, 0, err
	}
	said, err := c.render(f, i+1, false)
	if err != nil {
		return 0, 0, err
	}
	before, after := chat.Join(prompt), chat.Join(said)
	switch {
	case !strings.HasPrefix(text, after):
		return 0, 0, nil
	case strings.HasPrefix(after, before):
		return len(before), len(after), nil
	}
	// The prompt opens what a past turn does not show, such as reasoning.
	past, err := c.render(f, i, false)
	if err != nil || !strings.HasPrefix(after, chat.Join(past)) || !strings.HasPrefix(before, chat.Join(past)) {
		return 0, 0, err
	}
	return common(before, after), len(after), nil
}

// common returns the length of the whole runes with which both begin.
func common(x, y string) int {
	n := 0
	for i, r := range x {
		if !strings.HasPrefix(y[min(i, len(y)):], string(r)) {
			break
		}
		n = i + len(string(r))
	}
	return n
}

// render renders the first n messages.
func (c *Conversation) render(f *chat.Format, n int, prompt bool) ([]chat.Segment, error) {
	raw, err := json.Marshal(c.Messages[:n])
	if err != nil {
		return nil, err
	}
	messages, err := jinja.FromJSON(raw)
	if err != nil {
		return nil, err
	}
	tools := jinja.None()
	if len(c.Tools) > 0 {
		if tools, err = jinja.FromJSON(c.Tools); err != nil {
			return nil, err
		}
	}
	return f.Render(messages, tools, jinja.None(), prompt, time.Time{})
}

// between returns the segments' text from ... to-1.
func between(segments []chat.Segment, from, to int) (part []tokenizer.Segment) {
	at := 0
	for _, s := range segments {
		lo, hi := max(from-at, 0), min(to-at, len(s.Text))
		if lo < hi {
			part = append(part, tokenizer.Segment{Text: s.Text[lo:hi], Trusted: s.Trusted})
		}
		at += len(s.Text)
	}
	return part
}

func (e *Example) add(t *tokenizer.Tokenizer, part []tokenizer.Segment, learned bool) {
	e.Tokens = t.EncodeSegments(e.Tokens, part)
	for len(e.Learned) < len(e.Tokens) {
		e.Learned = append(e.Learned, learned)
	}
}

package server

import (
	"time"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/chat/jinja"
	"github.com/ingot-llm/ingot/engine/tokenizer"
)

// conversation is what the chat template gets.
type conversation struct {
	messages, tools, kwargs jinja.Value
	generate                bool // end with the opening of an answer
	open                    bool // leave the last message open
}

// conversation reads the fields that chat, /tokenize and /apply-template share. The JSON
// goes to the template in the client's order of keys.
func (s *Server) conversation(b *body) (conversation, *Error) {
	if err := checkMessages(b.raw("messages")); err != nil {
		return conversation{}, err
	}
	c := conversation{
		messages: fromJSON(b.raw("messages")),
		generate: b.boolean("add_generation_prompt"),
		open:     b.boolean("continue_final_message"),
	}
	if c.open && b.has("add_generation_prompt") && c.generate {
		return c, invalid("continue_final_message", "invalid_value", "continue_final_message and add_generation_prompt exclude each other")
	}
	c.generate = c.generate && !c.open
	if tools := b.raw("tools"); tools != nil {
		if err := checkTools(scanElements(tools)); err != nil {
			return c, err
		}
		c.tools = fromJSON(tools)
	}
	if kwargs := b.raw("chat_template_kwargs"); kwargs != nil {
		if err := s.checkKwargs(scanMembers(kwargs)); err != nil {
			return c, err
		}
		c.kwargs = fromJSON(kwargs)
	}
	return c, nil
}

// checkKwargs refuses template variables that the operator does not allow.
func (s *Server) checkKwargs(members []member) *Error {
	for _, m := range members {
		allowed := false
		for _, name := range s.cfg.TemplateKwargs {
			allowed = allowed || name == m.name
		}
		if !allowed {
			return invalid("chat_template_kwargs", "unsupported_parameter",
				"chat_template_kwargs may not set %q here: the server allows it with --template-kwarg", clip([]byte(m.name)))
		}
	}
	return nil
}

// fromJSON gives scanned JSON to the template.
func fromJSON(raw []byte) jinja.Value {
	v, err := jinja.FromJSON(raw)
	if err != nil {
		panic("BUG: scanned JSON does not decode: " + err.Error())
	}
	return v
}

// set adds a template variable to those of the request.
func (c *conversation) set(name string, value jinja.Value) (fresh bool) {
	d := c.kwargs.Dict()
	if d == nil {
		d = jinja.NewDict(1)
		c.kwargs = jinja.DictOf(d)
	}
	if _, taken := d.Get(name); taken {
		return false
	}
	d.Set(name, value)
	return true
}

// chatFormat returns the model's chat format, if it can chat.
func (s *Server) chatFormat() (*chat.Format, *Error) {
	if err := can(s.model.Info.Generates, "generate text"); err != nil {
		return nil, err
	}
	if s.model.Chat == nil {
		return nil, invalid("messages", "no_chat_template", "this model has no chat template: use /v1/completions")
	}
	return s.model.Chat, nil
}

// render makes a conversation's prompt: its text and its tokens, in which the template's
// control tokens are control tokens and what the messages say is text.
func (s *Server) render(c conversation) (string, []int32, *Error) {
	format, bad := s.chatFormat()
	if bad != nil {
		return "", nil, bad
	}
	segments, err := format.Render(c.messages, c.tools, c.kwargs, c.generate, time.Now())
	if err == nil && c.open {
		segments, err = openEnd(segments, c.messages)
	}
	if err != nil {
		return "", nil, invalid("messages", "template_error", "the chat template refuses this conversation: %s", err)
	}
	trusted := make([]tokenizer.Segment, len(segments))
	for i, seg := range segments {
		trusted[i] = tokenizer.Segment{Text: seg.Text, Trusted: seg.Trusted}
	}
	ids := s.model.Tokenizer.EncodeSegments(nil, trusted)
	if len(ids) == 0 {
		return "", nil, invalid("messages", "invalid_value", "the chat template gives an empty prompt")
	}
	return chat.Join(segments), ids, nil
}

// reservedKwarg tells whether a template variable is the server's own.
func reservedKwarg(name string) bool {
	switch name {
	case "messages", "tools", "documents", "add_generation_prompt", "continue_final_message",
		"bos_token", "eos_token", "raise_exception", "strftime_now", "chat_template":
		return true
	}
	return false
}

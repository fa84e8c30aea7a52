package server

import "github.com/valyala/fasthttp"

// tokenize answers POST /tokenize: vLLM's fields, and llama-server's content.
func (s *Server) tokenize(ctx *fasthttp.RequestCtx) {
	b, bad := s.readBody(ctx, BodyTokenize)
	if bad == nil {
		bad = s.checkModel(b)
	}
	var ids []int32
	if bad == nil {
		ids, bad = s.tokens(b)
	}
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	answer := struct {
		Count       int      `json:"count"`
		MaxModelLen int      `json:"max_model_len"`
		Tokens      []int32  `json:"tokens"`
		Strings     []string `json:"token_strs,omitempty"`
	}{len(ids), s.model.Info.Context, append([]int32{}, ids...), nil}
	if b.boolean("return_token_strs") {
		for _, id := range ids {
			answer.Strings = append(answer.Strings, tokenText(s.piece(id)))
		}
	}
	marshal(ctx, answer)
}

// tokens returns the tokens of a text or of a rendered conversation.
func (s *Server) tokens(b *body) ([]int32, *Error) {
	given := 0
	for _, name := range []string{"prompt", "content", "messages"} {
		if b.has(name) {
			given++
		}
	}
	if given != 1 {
		return nil, invalid("prompt", "missing_required_parameter", "one of prompt, content and messages must be given")
	}
	if err := b.checkTokenize(); err != nil {
		return nil, err
	}
	if !b.has("messages") {
		return s.encode(b.text("prompt")+b.text("content"), b.boolean("add_special_tokens")), nil
	}
	_, ids, err := s.renderBody(b)
	return ids, err
}

// checkTokenize refuses fields that would have no effect on what is to be tokenized.
func (b *body) checkTokenize() *Error {
	if b.has("messages") {
		if b.has("add_special_tokens") && b.boolean("add_special_tokens") {
			return invalid("add_special_tokens", "invalid_value", "add_special_tokens does not go with messages: the chat template writes its own")
		}
		return nil
	}
	for _, name := range []string{"tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message"} {
		if b.has(name) {
			return invalid(name, "invalid_value", "%s needs messages", name)
		}
	}
	return nil
}

// renderBody renders the conversation of /tokenize and /apply-template.
func (s *Server) renderBody(b *body) (string, []int32, *Error) {
	if _, bad := s.chatFormat(); bad != nil {
		return "", nil, bad
	}
	c, bad := s.conversation(b)
	if bad != nil {
		return "", nil, bad
	}
	return s.render(c)
}

// detokenize answers POST /detokenize: vLLM's prompt, and llama-server's content.
func (s *Server) detokenize(ctx *fasthttp.RequestCtx) {
	b, bad := s.readBody(ctx, BodyDetokenize)
	if bad == nil {
		bad = s.checkModel(b)
	}
	if bad == nil {
		bad = s.checkVocab("tokens", b.ids("tokens"))
	}
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	text := s.model.Tokenizer.Decode(b.ids("tokens"), true)
	marshal(ctx, struct {
		Prompt  string `json:"prompt"`
		Content string `json:"content"`
	}{text, text})
}

// applyTemplate answers POST /apply-template, as llama-server has it.
func (s *Server) applyTemplate(ctx *fasthttp.RequestCtx) {
	b, bad := s.readBody(ctx, BodyTemplate)
	if bad == nil {
		bad = s.checkModel(b)
	}
	var text string
	if bad == nil {
		text, _, bad = s.renderBody(b)
	}
	if bad != nil {
		s.fail(ctx, bad)
		return
	}
	marshal(ctx, struct {
		Prompt string `json:"prompt"`
	}{text})
}

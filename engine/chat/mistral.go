package chat

import "strings"

// mistralText reads content up to a [THINK] block or the tool calls.
func mistralText(p *Parser) state {
	switch p.text(Content, "[TOOL_CALLS]", "[THINK]") {
	case 0:
		return mistralCalls
	case 1:
		return mistralThink
	}
	return nil
}

func mistralThink(p *Parser) state {
	if p.text(Reasoning, "[/THINK]") < 0 {
		return nil
	}
	return mistralText
}

// mistralCalls reads what follows [TOOL_CALLS]: JSON calls in older models, one call as
// name[ARGS]{...} or name[CALL_ID]id[ARGS]{...} in newer ones, which repeat the marker.
func mistralCalls(p *Parser) state {
	body, which, ok := p.body("[TOOL_CALLS]")
	if !ok {
		return nil
	}
	if calls, good := jsonCalls(body); good {
		p.call(calls...)
	} else if call, good := mistralCall(body); good {
		p.call(call)
	} else {
		p.emit(Content, "[TOOL_CALLS]"+body)
	}
	if which < 0 {
		return mistralText
	}
	return mistralCalls
}

func mistralCall(s string) (ToolCall, bool) {
	head, args, ok := strings.Cut(s, "[ARGS]")
	if !ok {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return ToolCall{}, false
		}
		head, args = s[:i], s[i:]
	}
	name, id, _ := strings.Cut(strings.TrimSpace(head), "[CALL_ID]")
	args = strings.TrimSpace(args)
	return ToolCall{ID: id, Name: name, Arguments: args}, name != "" && isJSON(args)
}

package chat

import (
	"encoding/json"
	"strings"
)

// hermesText reads content up to a <think> or <tool_call> block.
func hermesText(p *Parser) state {
	markers := []string{"<tool_call>", "<think>"}
	if !p.thinks {
		markers = markers[:1]
	}
	switch p.text(Content, markers...) {
	case 0:
		return hermesCall
	case 1:
		return thinkBlock(hermesText)
	}
	return nil
}

// hermesCall reads a block of a call. A model may end its answer without closing it.
func hermesCall(p *Parser) state {
	body, which, ok := p.body("</tool_call>")
	if !ok {
		return nil
	}
	calls, good := jsonCalls(body)
	if !good {
		calls, good = functionCall(body)
	}
	if good {
		p.call(calls...)
		return hermesText
	}
	raw := "<tool_call>" + body
	if which >= 0 {
		raw += "</tool_call>"
	}
	p.emit(Content, raw)
	return hermesText
}

// functionCall reads the form of Qwen3-Coder and Qwen3.5:
//
//	<function=NAME> <parameter=KEY> VALUE </parameter> ... </function>
//
// The form does not tell strings from other values: what reads as a JSON value other than a
// string is taken as one, the rest as a string.
func functionCall(s string) ([]ToolCall, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "<function=")
	name, rest, ok2 := strings.Cut(rest, ">")
	rest, ok3 := strings.CutSuffix(rest, "</function>")
	if !ok || !ok2 || !ok3 || name == "" {
		return nil, false
	}
	var args []string
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		var key, value string
		rest, ok = strings.CutPrefix(rest, "<parameter=")
		key, rest, ok2 = strings.Cut(rest, ">")
		value, rest, ok3 = strings.Cut(rest, "</parameter>")
		if !ok || !ok2 || !ok3 {
			return nil, false
		}
		value = strings.TrimSuffix(strings.TrimPrefix(value, "\n"), "\n")
		args = append(args, quoted(key)+": "+jsonValue(value))
	}
	return []ToolCall{{Name: name, Arguments: "{" + strings.Join(args, ", ") + "}"}}, true
}

func jsonValue(s string) string {
	if strings.HasPrefix(s, `"`) || !isJSON(s) {
		return quoted(s)
	}
	return s
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a string does not marshal: " + err.Error())
	}
	return string(b)
}

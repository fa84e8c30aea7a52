package chat

import "strings"

// Family is a syntax in which models write reasoning and tool calls.
type Family uint8

// The families.
const (
	Plain   Family = iota // content, with <think> blocks where the template knows them
	Hermes                // <tool_call>{"name": ..., "arguments": ...}</tool_call>: Hermes, Qwen
	Llama3                // the whole answer is {"name": ..., "parameters": ...}
	Mistral               // [TOOL_CALLS] followed by JSON or by name[ARGS]{...}
	Harmony               // <|channel|>analysis<|message|>...: gpt-oss
)

var familyNames = [...]string{"plain", "hermes", "llama3", "mistral", "harmony"}

// String returns the family's name in lower case.
func (f Family) String() string { return familyNames[f] }

// Marked reports whether the family's markers are control tokens, so that the Parser needs
// them in the text: a detokenizer must not leave them out.
func (f Family) Marked() bool { return f != Plain }

// detectFamily recognises a family by the markers that its templates write for tool calls.
func detectFamily(template string) Family {
	has := func(s string) bool { return strings.Contains(template, s) }
	switch {
	case has("<|channel|>") && has("<|message|>"):
		return Harmony
	case has("[TOOL_CALLS]"):
		return Mistral
	case has("<tool_call>") && !has("<arg_key>"):
		return Hermes
	case has("<|start_header_id|>") && has(`"parameters"`):
		return Llama3
	}
	return Plain
}

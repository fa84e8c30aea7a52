package chat

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// The parser needs no template beyond its family.
func parserFormat(family Family) *Format {
	return &Format{family: family, thinks: family == Hermes || family == Plain}
}

var parserCases = []struct {
	family         Family
	prompt, answer string
	want           Message
}{
	{Plain, "", "  just text \n", Message{Content: "  just text \n"}},
	{Plain, "", "", Message{}},
	{Plain, "", "<think>\nhm < 3\n</think>\n\nIt is 4.\n", Message{Reasoning: "hm < 3", Content: "It is 4.\n"}},
	{Plain, "<|assistant|><think>\n", "hm\n</think>\n\n4", Message{Reasoning: "hm", Content: "4"}},
	{Plain, "<think>\n", "cut off ", Message{Reasoning: "cut off "}},
	{Plain, "", "a <thin", Message{Content: "a <thin"}},
	{Hermes, "", "Let me look.\n<tool_call>\n{\"name\": \"get\", \"arguments\": {\"city\": \"Oslo\", \"n\": [1, {\"a\": 2}]}}\n</tool_call>",
		Message{Content: "Let me look.", Calls: []ToolCall{{Name: "get", Arguments: `{"city": "Oslo", "n": [1, {"a": 2}]}`}}}},
	{Hermes, "<think>\n", "I need a tool.\n</think>\n\n<tool_call>\n{\"name\": \"a\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"b\", \"arguments\": \"{\\\"x\\\": 1}\"}\n</tool_call>\n",
		Message{Reasoning: "I need a tool.", Calls: []ToolCall{{Name: "a", Arguments: "{}"}, {Name: "b", Arguments: `{"x": 1}`}}, Content: ""}},
	{Hermes, "", "<tool_call>{\"name\": \"unclosed\", \"arguments\": {}}", Message{Calls: []ToolCall{{Name: "unclosed", Arguments: "{}"}}}},
	{Hermes, "", "<tool_call>not json</tool_call> and on", Message{Content: "<tool_call>not json</tool_call> and on"}},
	{Hermes, "", "<tool_call>{\"name\": \"cut", Message{Content: "<tool_call>{\"name\": \"cut"}},
	{Hermes, "", "a < b <tool", Message{Content: "a < b <tool"}},
	{Hermes, "", "<tool_call>\n<function=run>\n<parameter=cmd>\nls \"x\"\n-l\n</parameter>\n<parameter=n>\n3\n</parameter>\n<parameter=s>\n\"q\"\n</parameter>\n</function>\n</tool_call>",
		Message{Calls: []ToolCall{{Name: "run", Arguments: `{"cmd": "ls \"x\"\n-l", "n": 3, "s": "\"q\""}`}}}},
	{Llama3, "", "\n\n{\"name\": \"get\", \"parameters\": {\"city\": \"Oslo\"}}", Message{Calls: []ToolCall{{Name: "get", Arguments: `{"city": "Oslo"}`}}}},
	{Llama3, "", "<|python_tag|>{\"name\": \"a\", \"parameters\": {}}; {\"name\": \"b\", \"parameters\": {\"x\": 1}}",
		Message{Calls: []ToolCall{{Name: "a", Arguments: "{}"}, {Name: "b", Arguments: `{"x": 1}`}}}},
	{Llama3, "", "{\"answer\": 42}\n", Message{Content: "{\"answer\": 42}\n"}},
	{Llama3, "", "{\"name\": 3}", Message{Content: "{\"name\": 3}"}},
	{Llama3, "", "  Hello {\"name\": \"x\"}", Message{Content: "  Hello {\"name\": \"x\"}"}},
	{Llama3, "", "{", Message{Content: "{"}},
	{Mistral, "", "[TOOL_CALLS] [{\"name\": \"get\", \"arguments\": {\"city\": \"Oslo\"}, \"id\": \"abc123def\"}, {\"name\": \"b\", \"arguments\": {}}]",
		Message{Calls: []ToolCall{{"abc123def", "get", `{"city": "Oslo"}`}, {Name: "b", Arguments: "{}"}}}},
	{Mistral, "", "Sure.[TOOL_CALLS]get[CALL_ID]abc123def[ARGS]{\"x\": [1]}[TOOL_CALLS]b[ARGS]{}",
		Message{Content: "Sure.", Calls: []ToolCall{{"abc123def", "get", `{"x": [1]}`}, {Name: "b", Arguments: "{}"}}}},
	{Mistral, "", "[THINK]why[/THINK]because", Message{Reasoning: "why", Content: "because"}},
	{Mistral, "", "[TOOL_CALLS]nothing", Message{Content: "[TOOL_CALLS]nothing"}},
	{Harmony, "", "<|channel|>analysis<|message|>User asks. <|end|><|start|>assistant<|channel|>final<|message|> Hi there.\n<|return|>",
		Message{Reasoning: "User asks. ", Content: " Hi there.\n"}},
	{Harmony, "", "<|channel|>analysis<|message|>Need it.<|end|><|start|>assistant<|channel|>commentary to=functions.get <|constrain|>json<|message|>{\"city\":\"Oslo\"}<|call|>",
		Message{Reasoning: "Need it.", Calls: []ToolCall{{Name: "get", Arguments: `{"city":"Oslo"}`}}}},
	{Harmony, "", " to=functions.get<|channel|>commentary json<|message|>{}<|call|>", Message{Calls: []ToolCall{{Name: "get", Arguments: "{}"}}}},
	{Harmony, "", "<|channel|>commentary<|message|>I will call.<|end|><|start|>assistant<|chan", Message{Content: "I will call."}},
	{Harmony, "", "the answer", Message{Content: "the answer"}},
	{Harmony, "", "t", Message{Content: "t"}},
}

func TestParse(t *testing.T) {
	for _, c := range parserCases {
		if got := parserFormat(c.family).Parse(c.prompt, c.answer); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v, %q:\n got %+v\nwant %+v", c.family, c.answer, got, c.want)
		}
	}
}

// chunked parses an answer cut at random places.
func chunked(f *Format, prompt, answer string, rng *rand.Rand) (m Message) {
	p := f.Parser(prompt)
	for len(answer) > 0 {
		n := min(1+rng.IntN(1+rng.IntN(12)), len(answer))
		for _, e := range p.Feed(answer[:n]) {
			m.Add(e)
		}
		answer = answer[n:]
	}
	for _, e := range p.Close() {
		m.Add(e)
	}
	return m
}

func TestChunkingDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range parserCases {
		f := parserFormat(c.family)
		for range 200 {
			if got := chunked(f, c.prompt, c.answer, rng); !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%v, %q in chunks:\n got %+v\nwant %+v", c.family, c.answer, got, c.want)
			}
		}
	}
}

// TestRandomAnswers glues markers and scraps together at random: whatever the model writes,
// cutting it elsewhere gives the same message.
func TestRandomAnswers(t *testing.T) {
	scraps := []string{"<think>", "</think>", "<tool_call>", "</tool_call>", `{"name": "f", "arguments": {}}`, "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]",
		"<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|start|>", "<|call|>", " to=functions.g", "<|python_tag|>", " ", "\n", "x", "<", "[", "<|", "{", "é"}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		answer := ""
		for range rng.IntN(12) {
			answer += scraps[rng.IntN(len(scraps))]
		}
		f := parserFormat(Family(rng.IntN(len(familyNames))))
		whole := f.Parse("", answer)
		if got := chunked(f, "", answer, rng); !reflect.DeepEqual(got, whole) {
			t.Fatalf("%v, %q:\nwhole %+v\n cut %+v", f.family, answer, whole, got)
		}
	}
}

// TestContentStreams checks that content is not kept back without need.
func TestContentStreams(t *testing.T) {
	for family := range Family(len(familyNames)) {
		p := parserFormat(family).Parser("")
		p.Feed("Hello")
		if events := p.Feed(" world"); len(events) != 1 || events[0].Text != " world" {
			t.Errorf("%v: got %+v", family, events)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, c := range parserCases {
		f.Add(uint8(c.family), c.answer, uint64(1))
	}
	f.Fuzz(func(t *testing.T, family uint8, answer string, seed uint64) {
		format := parserFormat(Family(family % uint8(len(familyNames))))
		whole := format.Parse("", answer)
		if got := chunked(format, "", answer, rand.New(rand.NewPCG(seed, 0))); !reflect.DeepEqual(got, whole) {
			t.Errorf("whole %+v, cut %+v", whole, got)
		}
	})
}

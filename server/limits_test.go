package server

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// pathOf is where a body is sent.
var pathOf = map[Body]string{
	BodyChat: "/v1/chat/completions", BodyCompletion: "/v1/completions", BodyEmbedding: "/v1/embeddings",
	BodyTokenize: "/tokenize", BodyDetokenize: "/detokenize", BodyTemplate: "/apply-template",
}

// minimal are the members of a body that is accepted.
var minimal = map[Body]map[string]string{
	BodyChat:       {"messages": `[{"role":"user","content":"a"}]`},
	BodyCompletion: {"prompt": `"a"`},
	BodyEmbedding:  {"input": `"a"`},
	BodyTokenize:   {"prompt": `"a"`},
	BodyDetokenize: {"tokens": `[1]`},
	BodyTemplate:   {"messages": `[{"role":"user","content":"a"}]`},
}

// needs are members that a field is accepted with only.
var needs = map[string]map[string]string{
	"top_logprobs":           {"logprobs": "true"},
	"stream_options":         {"stream": "true"},
	"min_tokens":             {"max_tokens": "2147483647"},
	"continue_final_message": {"add_generation_prompt": "false"},
}

// probe is a value of a field and whether the table allows it.
type probe struct {
	value string
	ok    bool
}

// alien are values of every JSON type, and the hostile ones of their kinds.
var alien = []string{`true`, `"x"`, `""`, `{}`, `[]`, `[[]]`, `[null]`, `{"a":{}}`, `0`, `-1`, `1.5`, `1e308`, `-1e308`,
	`9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `100000000000000000000`, `4294967296`, `"\ud83d\ude00"`}

// broken values make the body no acceptable JSON.
var broken = []string{`NaN`, `1e400`, `-1e400`, `Infinity`, `01`, `.5`, `"\ud800"`, `"\u0000"`, "\"\xff\"", `{"a":1,"a":2}`,
	strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat(`{"a":`, 100000), `"`, ``}

// probes returns the boundary values of a field, from its row.
func probes(f *Field) []probe {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	integer := func(x float64) string { return strconv.FormatFloat(x, 'f', 0, 64) }
	list := func(item string, n float64) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", int(n)), ",") + "]"
	}
	switch {
	case f.Use == Refused:
		out := []probe{{`"something else"`, false}, {`{"some":"thing"}`, false}, {`77`, false}}
		for _, v := range f.NoOp {
			out = append(out, probe{v, true}, probe{" " + v + " ", true})
		}
		return out
	case f.Kind == Integer && math.Abs(f.Min) < 1e15:
		return []probe{{integer(f.Min), true}, {integer(f.Max), true}, {integer(f.Min - 1), false}, {integer(f.Max + 1), false}, {`1.5`, false}, {`1e0`, true}, {`1.0`, true}, {`"1"`, false}}
	case f.Kind == Integer:
		return []probe{{"-9223372036854775808", true}, {"9223372036854775807", true}, {"9223372036854775808", false}, {"-9223372036854775809", false}}
	case f.Kind == Number:
		return []probe{{number(f.Min), true}, {number(f.Max), true}, {number(f.Min - 1e-3), false}, {number(f.Max + 1e-3), false}, {`1e308`, false}, {`"1"`, false}, {`true`, false}}
	case f.Kind == Boolean:
		return []probe{{`true`, true}, {`false`, true}, {`0`, false}, {`"true"`, false}}
	case f.Kind == String && len(f.Enum) > 0:
		out := []probe{{`"no such"`, false}, {`1`, false}}
		for _, v := range f.Enum {
			out = append(out, probe{strconv.Quote(v), true})
		}
		return out
	case f.Kind == String:
		text := func(n float64) string { return strconv.Quote(strings.Repeat("x", int(n))) }
		out := []probe{{text(max(f.Min, 1)), true}, {`{}`, false}}
		if f.Max < 1e5 {
			out = append(out, probe{text(f.Max), true}, probe{text(f.Max + 1), false})
		}
		if f.Min > 0 {
			out = append(out, probe{`""`, false})
		}
		return out
	case f.Kind == Strings:
		return []probe{{`"x"`, true}, {`[]`, true}, {list(`"x"`, f.Max), true}, {list(`"x"`, f.Max+1), false}, {`[""]`, false}, {`[1]`, false},
			{strconv.Quote(strings.Repeat("x", maxItemBytes)), true}, {strconv.Quote(strings.Repeat("x", maxItemBytes+1)), false}}
	case f.Kind == Tokens:
		return []probe{{`[]`, true}, {`[0,257]`, true}, {`[258]`, false}, {`[-1]`, false}, {`[2147483648]`, false}, {`["a"]`, false}, {`5`, false}, {list("1", f.Max+1), false}}
	case f.Kind == Prompt:
		return []probe{{`"a"`, true}, {`["a","b"]`, true}, {`[1,2]`, true}, {`[[1],[2]]`, true}, {`[]`, false}, {`[[]]`, false}, {`[1,"a"]`, false}, {`["a",1]`, false},
			{`[[1],2]`, false}, {`[[["a"]]]`, false}, {`[258]`, false}, {`[-1]`, false}, {`{}`, false}, {list(`"a"`, f.Max+1), false}}
	case f.Kind == BiasTable:
		return []probe{{`{}`, true}, {`{"0":-100,"257":100}`, true}, {`{"0":-100.5}`, false}, {`{"0":101}`, false}, {`{"258":1}`, false}, {`{"-1":1}`, false}, {`{"a":1}`, false},
			{`{"1":"a"}`, false}, {`{"1":null}`, false}, {`{"1":1,"01":1}`, false}, {members(maxBias + 1), false}, {`[]`, false}}
	case f.Kind == Object:
		return []probe{{`{}`, true}, {`[]`, false}, {`"a"`, false}, {members(int(f.Max) + 1), false}}
	case f.Name == "tools":
		return []probe{{`[]`, true}, {list(`{"type":"function","function":{"name":"f"}}`, f.Max), true}, {list(`{"type":"function","function":{"name":"f"}}`, f.Max+1), false},
			{`[{}]`, false}, {`[{"type":"web_search"}]`, false}, {`[{"type":"function","function":{}}]`, false}, {`[{"type":"function","function":{"name":"f","strict":true}}]`, false}}
	}
	return []probe{{`[]`, false}, {`[{"role":"user","content":"a"}]`, true}, {list(`{"role":"user","content":"a"}`, f.Max+1), false}, {`[{}]`, false}, {`[1]`, false},
		{`[{"role":"wizard","content":"a"}]`, false}, {`[{"role":"user"}]`, false}, {`[{"role":"user","content":1}]`, false}, {`[{"role":"user","content":[1]}]`, false},
		{`[{"role":"user","content":[{"type":"text"}]}]`, false}, {`[{"role":"tool","content":"a"}]`, false}, {`[{"role":"user","content":"a","tool_calls":[]}]`, false},
		{`[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]`, false}, {`[{"role":"assistant","tool_calls":5}]`, false}, {`[{"role":"user","content":"a","color":"red"}]`, false}}
}

// minimalOf tells whether a body is complete without a field.
func minimalOf(in Body, name string) bool {
	return in != BodyTokenize || name != "prompt" && name != "content" && name != "messages"
}

func members(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`"%d":1`, i))
	}
	return "{" + strings.Join(out, ",") + "}"
}

// bodyWith is a minimal body with a field.
func bodyWith(in Body, name, value string) string {
	have := map[string]string{}
	for _, from := range []map[string]string{minimal[in], needs[name], {name: value}} {
		for k, v := range from {
			if _, known := lookup(in, k); known {
				have[k] = v
			}
		}
	}
	if in == BodyTokenize {
		switch name {
		case "messages", "content":
			delete(have, "prompt")
		case "tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "chat_template", "mm_processor_kwargs":
			delete(have, "prompt")
			have["messages"] = minimal[BodyChat]["messages"]
		}
	}
	var out []string
	for k, v := range have {
		out = append(out, strconv.Quote(k)+":"+v)
	}
	return "{" + strings.Join(out, ",") + "}"
}

// excused are values that the table allows and a rule beyond it does not.
func excused(in Body, name, value string, a answer) bool {
	switch name {
	case "model":
		return a.status == 404
	case "dimensions", "max_tokens", "max_completion_tokens":
		return a.status == 400
	case "reasoning_effort":
		return value != `"none"` && a.status == 400
	case "continue_final_message", "chat_template_kwargs":
		return false
	}
	return false
}

// TestEveryFieldAtItsLimits sends each field of the table with the values around its
// limits. The answer is what the table says, it names the field, and it is never a 5xx.
func TestEveryFieldAtItsLimits(t *testing.T) {
	fake := newFake()
	fake.answer = "x"
	h := start(t, fake, func(_ *Config, m *Model) { m.Info.Context = 1 << 20 })
	for i := range fields {
		f := &fields[i]
		for _, in := range bodies() {
			if f.In&in == 0 {
				continue
			}
			for _, p := range append(probes(f), probe{"null", !f.Required && minimalOf(in, f.Name)}) {
				a := h.post(pathOf[in], bodyWith(in, f.Name, p.value))
				switch {
				case p.ok && a.status != 200 && !excused(in, f.Name, p.value, a):
					t.Errorf("%s %s = %.60s is refused: %d %.300s", bodyNames[in], f.Name, p.value, a.status, a.body)
				case !p.ok && a.status != 400 && a.status != 404:
					t.Errorf("%s %s = %.60s is not refused: %d %.300s", bodyNames[in], f.Name, p.value, a.status, a.body)
				case !p.ok && !strings.Contains(a.body, `"param":"`+f.Name) && !(in == BodyTokenize && p.value == "null"):
					t.Errorf("%s %s = %.60s: the error does not name the field: %.300s", bodyNames[in], f.Name, p.value, a.body)
				}
			}
		}
	}
}

// TestHostileValues sends every hostile value in every field: any 4xx or 200, and broken
// JSON is 400 always.
func TestHostileValues(t *testing.T) {
	fake := newFake()
	fake.answer = "x"
	h := start(t, fake, nil)
	for i := range fields {
		f := &fields[i]
		for _, in := range bodies() {
			if f.In&in == 0 {
				continue
			}
			for _, v := range alien {
				if a := h.post(pathOf[in], bodyWith(in, f.Name, v)); a.status != 200 && a.status != 400 && a.status != 404 {
					t.Errorf("%s %s = %s: %d %.200s", bodyNames[in], f.Name, v, a.status, a.body)
				}
			}
			if i%8 != 0 {
				continue // the scanner does not know fields; a sample is enough
			}
			for _, v := range broken {
				if a := h.post(pathOf[in], bodyWith(in, f.Name, v)); a.status != 400 || !strings.Contains(a.body, "invalid_json") {
					t.Errorf("%s %s = %.40q: %d %.200s", bodyNames[in], f.Name, v, a.status, a.body)
				}
			}
		}
	}
}

// TestStrict refuses unknown fields.
func TestStrict(t *testing.T) {
	h := start(t, newFake(), func(c *Config, _ *Model) { c.Strict = true })
	a := h.post("/v1/completions", `{"prompt":"a","temprature":1}`)
	if a.status != 400 || !strings.Contains(a.body, `"param":"temprature"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestParametersReachTheEngine compares what the engine is asked with what was sent.
func TestParametersReachTheEngine(t *testing.T) {
	h := start(t, newFake(), func(_ *Config, m *Model) { m.Info.DefaultSampling.TopK = 40 })
	h.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"temperature":0.5,"top_p":0.25,"min_p":0.125,"typical_p":0.75,
		"repetition_penalty":1.5,"presence_penalty":-1,"frequency_penalty":2,"logit_bias":{"7":-100},"seed":-3,"stop":["x","y"],"stop_token_ids":[9],
		"min_tokens":2,"ignore_eos":true,"max_completion_tokens":5,"n":2,"logprobs":true,"top_logprobs":3,"priority":-4,"cache_salt":"s"}`)
	r := h.fake.last()
	p := r.Sampling
	got := fmt.Sprint(p.Temperature, p.TopP, p.MinP, p.TypicalP, p.RepetitionPenalty, p.PresencePenalty, p.FrequencyPenalty, p.LogitBias, int64(p.Seed),
		r.Stop, p.StopIDs, p.MinTokens, p.IgnoreEOS, r.MaxTokens, r.N, r.Logprobs, r.PromptLogprobs, r.Priority, p.TopK)
	want := `0.5 0.25 0.125 0.75 1.5 -1 2 [{7 -100}] -3 [x y] [9] 2 true 5 2 3 -1 -4 40`
	if got != want || r.Salt != "\x00s" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	h.post("/v1/completions", `{"prompt":"a","top_k":-1,"max_tokens":0,"echo":true,"logprobs":4}`)
	r = h.fake.last()
	if r.Sampling.TopK != 0 || r.MaxTokens != 0 || r.Logprobs != 4 || r.PromptLogprobs != 4 {
		t.Errorf("completion: %+v", r)
	}
	h.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}]}`)
	if r = h.fake.last(); r.MaxTokens != 4096-len(r.Prompt) {
		t.Errorf("the answer may have %d tokens after a prompt of %d", r.MaxTokens, len(r.Prompt))
	}
}

// TestRulesBetweenFields are refusals that need two fields.
func TestRulesBetweenFields(t *testing.T) {
	h := start(t, newFake(), func(c *Config, _ *Model) { c.TemplateKwargs = []string{"enable_thinking"} })
	const turn = `"messages":[{"role":"user","content":"a"}]`
	const tool = `"tools":[{"type":"function","function":{"name":"f"}}]`
	for _, c := range []struct{ path, body, param string }{
		{"/v1/chat/completions", turn + `,"top_logprobs":1`, "top_logprobs"},
		{"/v1/chat/completions", turn + `,"stream_options":{}`, "stream_options"},
		{"/v1/chat/completions", turn + `,"stream":true,"stream_options":{"x":true}`, "stream_options.x"},
		{"/v1/chat/completions", turn + `,"stream":true,"stream_options":{"include_usage":1}`, "stream_options.include_usage"},
		{"/v1/chat/completions", turn + `,"max_tokens":1,"max_completion_tokens":2`, "max_tokens"},
		{"/v1/chat/completions", turn + `,"max_tokens":1,"min_tokens":2`, "min_tokens"},
		{"/v1/chat/completions", turn + "," + tool + `,"parallel_tool_calls":false`, "parallel_tool_calls"},
		{"/v1/chat/completions", turn + "," + tool + `,"tool_choice":"required"`, "tool_choice"},
		{"/v1/chat/completions", turn + "," + tool + `,"tool_choice":{"type":"function","function":{"name":"f"}}`, "tool_choice"},
		{"/v1/chat/completions", turn + `,"reasoning_effort":"high"`, "reasoning_effort"},
		{"/v1/chat/completions", turn + `,"reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":true}`, "reasoning_effort"},
		{"/v1/chat/completions", turn + `,"chat_template_kwargs":{"messages":[]}`, "chat_template_kwargs"},
		{"/v1/chat/completions", turn + `,"continue_final_message":true,"add_generation_prompt":true`, "continue_final_message"},
		{"/v1/completions", `"prompt":"a","max_tokens":0`, "max_tokens"},
		{"/v1/completions", `"prompt":` + `["a"` + strings.Repeat(`,"a"`, 127) + `],"n":16`, "n"},
		{"/tokenize", `"prompt":"a","content":"b"`, "prompt"},
		{"/tokenize", `"model":"fake"`, "prompt"},
	} {
		a := h.post(c.path, "{"+c.body+"}")
		if a.status != 400 || !strings.Contains(a.body, `"param":"`+c.param+`"`) {
			t.Errorf("%s %s: %d %s", c.path, c.body, a.status, a.body)
		}
	}
}

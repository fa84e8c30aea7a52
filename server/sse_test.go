package server

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine/chat"
)

// TestAppendString holds the encoder against encoding/json.
func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "a\"b\\c/d", "\x00\x01\x1f\x7f\b\f\n\r\t", "é 日本 😀", "a\xffb\xc3", "\u2028<>&", strings.Repeat("x", 1000)} {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil || back != strings.ToValidUTF8(replaceEach(s), "") {
			t.Errorf("%q: %q %v", s, back, err)
		}
	}
}

// replaceEach puts U+FFFD for each invalid byte.
func replaceEach(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// benchAnswer is a chat stream in its middle.
func benchAnswer(t testing.TB) (*chatAnswer, *chatChoice, *chat.Event) {
	h := start(t, newFake(), nil)
	a := &chatAnswer{generation: generation{server: h.server}, choices: make([]chatChoice, 1)}
	a.frame = newChunkFrame("chatcmpl-0123456789abcdef01234567", "chat.completion.chunk", "a-model", time.Unix(1700000000, 0), streamOptions{usage: true})
	return a, &a.choices[0], &chat.Event{Kind: chat.Content, Text: " wonderful"}
}

// TestChunkAllocates nothing.
func TestChunkAllocates(t *testing.T) {
	a, c, ev := benchAnswer(t)
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = a.deltaChunk(buf[:0], 0, c, ev) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !json.Valid(buf[len("data: "):]) {
		t.Errorf("%s", buf)
	}
}

func BenchmarkChunk(b *testing.B) {
	a, c, ev := benchAnswer(b)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = a.deltaChunk(buf[:0], 0, c, ev)
	}
}

func BenchmarkScan(b *testing.B) {
	text := []byte(`{"model":"m","messages":[` + strings.Repeat(`{"role":"user","content":"`+strings.Repeat("some words ", 20)+`"},`, 99) + `{"role":"user","content":"é"}]}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := scanObject(text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestObfuscationHidesLengths pads every chunk of a stream to a multiple of 64 bytes.
func TestObfuscationHidesLengths(t *testing.T) {
	h := start(t, newFake(), nil)
	for _, answer := range []string{"a", "ab", "éé", strings.Repeat("x", 63)} {
		h.fake.answer, h.fake.piece = answer, len(answer)
		a := h.post("/v1/completions", `{"prompt":"a","max_tokens":99,"stream":true,"stream_options":{"include_obfuscation":true}}`)
		for _, line := range strings.SplitAfter(a.body, "\n\n") {
			if strings.HasPrefix(line, "data: {") && (len(line)%64 != 0 || !strings.Contains(line, `"obfuscation":"0`)) {
				t.Errorf("%d bytes: %s", len(line), line)
			}
		}
	}
}

// TestStreamEqualsWhole puts the chunks of a stream together and compares them with the
// answer that is not streamed, for every cut of the text.
func TestStreamEqualsWhole(t *testing.T) {
	h := start(t, newFake(), nil)
	h.fake.answer = "<think>\nhm é\n</think>\n\nWell.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"
	const body = `"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f"}}],"logprobs":true,"top_logprobs":1,"return_token_ids":true}`
	for _, piece := range []int{1, 2, 3, 7, 1000} {
		h.fake.piece = piece
		var whole struct {
			Choices []struct {
				Message, Logprobs any
				TokenIDs          []int  `json:"token_ids"`
				Finish            string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(h.post("/v1/chat/completions", `{`+body).body), &whole); err != nil {
			t.Fatal(err)
		}
		message := map[string]any{"refusal": nil}
		var logprobs []any
		var ids []int
		finish := ""
		for _, line := range strings.Split(h.post("/v1/chat/completions", `{"stream":true,`+body).body, "\n\n") {
			var chunk struct {
				Choices []struct {
					Delta    map[string]any
					Logprobs *struct{ Content []any }
					TokenIDs []int  `json:"token_ids"`
					Finish   string `json:"finish_reason"`
				}
			}
			if !strings.HasPrefix(line, "data: {") {
				continue
			}
			if err := json.Unmarshal([]byte(line[6:]), &chunk); err != nil {
				t.Fatal(err)
			}
			for k, v := range chunk.Choices[0].Delta {
				switch old, add := message[k].(string); {
				case k == "tool_calls":
					calls, _ := message[k].([]any)
					message[k] = append(calls, v.([]any)...)
				case add:
					message[k] = old + v.(string)
				default:
					message[k] = v
				}
			}
			if l := chunk.Choices[0].Logprobs; l != nil {
				logprobs = append(logprobs, l.Content...)
			}
			ids = append(ids, chunk.Choices[0].TokenIDs...)
			finish += chunk.Choices[0].Finish
		}
		w := whole.Choices[0]
		compare := func(what string, got, want any) {
			g, _ := json.Marshal(got)
			x, _ := json.Marshal(want)
			if string(g) != string(x) {
				t.Errorf("piece %d: %s of the stream %s, of the whole %s", piece, what, g, x)
			}
		}
		compare("message", message, w.Message)
		compare("logprobs", logprobs, w.Logprobs.(map[string]any)["content"])
		compare("ids", ids, w.TokenIDs)
		compare("finish", finish, w.Finish)
	}
}

// TestManyPrompts streams many prompts at once; each choice is complete and ends once.
func TestManyPrompts(t *testing.T) {
	h := start(t, newFake(), nil)
	h.fake.pause = time.Microsecond
	a := h.post("/v1/completions", `{"prompt":["a"`+strings.Repeat(`,"b"`, 63)+`],"n":2,"stream":true,"max_tokens":9}`)
	texts := map[int]string{}
	ends := map[int]int{}
	for _, line := range strings.Split(a.body, "\n\n") {
		var chunk struct {
			Choices []struct {
				Index  int
				Text   string
				Finish *string `json:"finish_reason"`
			}
		}
		if strings.HasPrefix(line, "data: {") && json.Unmarshal([]byte(line[6:]), &chunk) == nil {
			texts[chunk.Choices[0].Index] += chunk.Choices[0].Text
			if chunk.Choices[0].Finish != nil {
				ends[chunk.Choices[0].Index]++
			}
		}
	}
	for i := range 128 {
		if texts[i] != "Hello, w\uFFFD" || ends[i] != 1 {
			t.Errorf("choice %d is %q and ends %d times", i, texts[i], ends[i])
		}
	}
}

package server

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// TestStories serves a real trained model and compares greedy tokens and prompt
// log-probabilities with those of the model's own program, through HTTP.
func TestStories(t *testing.T) {
	dir := quanttest.Shared(t, "data", "models", "stories260K")
	e, err := engine.Open(engine.Options{Model: dir, KVType: "f32", KVMemory: 8 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h := start(t, newFake(), func(_ *Config, m *Model) { *m = ModelOf(e) })
	var want struct {
		Greedy []struct {
			Prompt    string
			PromptIDs []int32 `json:"prompt_ids"`
			IDs       []int32 `json:"greedy_ids"`
		}
		NLL []struct {
			IDs []int32
			NLL []float64 `json:"per_token_nll"` // of the second token and so on, rounded to 1e-5
		}
	}
	text, err := os.ReadFile(quanttest.Shared(t, "data", "models", "stories260K", "expected.json"))
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range want.Greedy {
		answer := g.IDs[len(g.PromptIDs):]
		ids, _ := json.Marshal(g.PromptIDs)
		got := complete(t, h, `{"prompt":`+string(ids)+`,"temperature":0,"return_token_ids":true,"max_tokens":`+strconv.Itoa(len(answer))+`}`)
		if !reflect.DeepEqual(got.IDs, answer) {
			t.Errorf("%q goes on with %v, want %v", g.Prompt, got.IDs, answer)
		}
		streamed := h.post("/v1/completions", `{"prompt":`+string(ids)+`,"temperature":0,"stream":true,"max_tokens":`+strconv.Itoa(len(answer))+`}`)
		var text strings.Builder
		for _, line := range strings.Split(streamed.body, "\n\n") {
			var chunk struct{ Choices []struct{ Text string } }
			if strings.HasPrefix(line, "data: {") && json.Unmarshal([]byte(line[6:]), &chunk) == nil {
				text.WriteString(chunk.Choices[0].Text)
			}
		}
		if text.String() != got.Text {
			t.Errorf("streamed %q, whole %q", text.String(), got.Text)
		}
	}
	for _, n := range want.NLL {
		ids, _ := json.Marshal(n.IDs)
		got := complete(t, h, `{"prompt":`+string(ids)+`,"echo":true,"logprobs":1,"max_tokens":0}`)
		if len(got.Logprobs.Token) != len(n.NLL)+1 || got.Logprobs.Token[0] != nil {
			t.Fatalf("%d log-probabilities of %d tokens", len(got.Logprobs.Token), len(n.IDs))
		}
		for i, l := range got.Logprobs.Token[1:] {
			if math.Abs(-*l-n.NLL[i]) > 1e-4 {
				t.Errorf("token %d has the log-probability %v, want %v", i+1, *l, -n.NLL[i])
			}
		}
	}
}

// TestTokensJoinToText holds the tokens of a model with SentencePiece, whose first piece
// has a space that is not in the text, against the text.
func TestTokensJoinToText(t *testing.T) {
	e, err := engine.Open(engine.Options{Model: quanttest.Shared(t, "data", "models", "stories260K"), KVMemory: 8 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h := start(t, newFake(), func(_ *Config, m *Model) { *m = ModelOf(e) })
	got := complete(t, h, `{"prompt":"a b","echo":true,"logprobs":0,"max_tokens":0}`).Logprobs
	if !reflect.DeepEqual(got.Tokens, []string{"<s>", "a", " b"}) && !reflect.DeepEqual(got.Tokens, []string{"\n<s>\n", "a", " b"}) || !reflect.DeepEqual(got.Offset, []int{0, 0, 1}) {
		t.Errorf("tokens %q at %v", got.Tokens, got.Offset)
	}
	for _, body := range []string{
		`{"prompt":"Once upon a time","echo":true,"logprobs":2,"max_tokens":12,"temperature":0}`,
		`{"prompt":"Once upon a time","logprobs":2,"max_tokens":12,"temperature":0}`,
		`{"prompt":" été","echo":true,"logprobs":2,"max_tokens":3,"temperature":0}`,
		`{"prompt":[198,400],"echo":true,"logprobs":0,"max_tokens":3,"temperature":0}`,
		`{"prompt":[1],"echo":true,"logprobs":0,"max_tokens":3,"temperature":0}`,
	} {
		c := complete(t, h, body)
		runes := []rune(c.Text)
		for i, text := range c.Logprobs.Tokens {
			from, to := c.Logprobs.Offset[i], len(runes)
			if i+1 < len(c.Logprobs.Offset) {
				to = c.Logprobs.Offset[i+1]
			}
			if from > to || to > len(runes) {
				t.Fatalf("%s: offsets %v of %q", body, c.Logprobs.Offset, c.Text)
			}
			shown := strings.HasPrefix(text, "bytes:") || strings.Contains(text, "<s>")
			if !shown && string(runes[from:to]) != text {
				t.Errorf("%s: the token %q stands at %q of %q", body, text, string(runes[from:to]), c.Text)
			}
		}
	}
}

// completion is the first choice of an answer.
type completion struct {
	Text     string
	IDs      []int32 `json:"token_ids"`
	Logprobs struct {
		Tokens []string
		Token  []*float64 `json:"token_logprobs"`
		Offset []int      `json:"text_offset"`
	}
}

func complete(t *testing.T, h *harness, body string) completion {
	t.Helper()
	a := h.post("/v1/completions", body)
	var got struct{ Choices []completion }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	return got.Choices[0]
}

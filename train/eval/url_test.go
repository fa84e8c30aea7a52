package eval

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

// fake is a server whose tokens are characters: 9 has log-probability -1 and is the
// likeliest, others have -2. It goes on from a prompt with "one.two".
type fake struct {
	url, key string
	limit    int // characters of prompt and answer
	busy     atomic.Int64
	bare     bool // it gives no log-probabilities
	prompts  atomic.Int64
}

func newFake(t *testing.T) *fake {
	f := &fake{limit: 40}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data": [{"id": "fake", "max_model_len": %d}]}`, f.limit/2)
	})
	mux.HandleFunc("POST /v1/completions", f.complete)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.key != "" && r.Header.Get("Authorization") != "Bearer "+f.key {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error": {"message": "wrong key", "code": "invalid_api_key"}}`)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fake) complete(w http.ResponseWriter, r *http.Request) {
	if f.busy.Add(-1) >= 0 {
		w.WriteHeader(429)
		fmt.Fprint(w, "too much to do")
		return
	}
	var c completion
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.Model != "fake" || c.Temperature != 0 {
		w.WriteHeader(400)
		return
	}
	var choices []map[string]any
	for i, p := range c.Prompt {
		f.prompts.Add(1)
		if utf8.RuneCountInString(p)+c.MaxTokens > f.limit {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error": {"message": "too long", "code": "context_length_exceeded"}}`)
			return
		}
		choice := map[string]any{"index": i, "text": "one.two", "logprobs": nil}
		if c.Echo && !f.bare {
			choice["logprobs"] = echoed(p + "x") // a token of the answer
		}
		choices = append([]map[string]any{choice}, choices...) // in no order that may be relied on
	}
	json.NewEncoder(w).Encode(map[string]any{"choices": choices})
}

func echoed(text string) map[string]any {
	var logprobs []any
	var tops []any
	var offsets []int
	for i, r := range []rune(text) {
		p := -2.0
		if r == '9' {
			p = -1
		}
		offsets = append(offsets, i)
		if i == 0 {
			logprobs, tops = append(logprobs, nil), append(tops, nil)
			continue
		}
		logprobs, tops = append(logprobs, p), append(tops, map[string]float64{"9": -1, string(r): p})
	}
	return map[string]any{"token_logprobs": logprobs, "top_logprobs": tops, "text_offset": offsets}
}

func dial(t *testing.T, f *fake) *Endpoint {
	t.Helper()
	e, err := Dial(t.Context(), f.url+"/v1/", f.key, "")
	if err != nil {
		t.Fatal(err)
	}
	e.pause = time.Millisecond
	return e
}

func TestURLScore(t *testing.T) {
	f := newFake(t)
	e := dial(t, f)
	want := []Likelihood{{-4, 2, 3, false}, {-2, 2, 2, true}, {-5, 3, 3, false}}
	if got := score(t, e, "né", "xé", "99", "9ab"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("scored %+v, want %+v", got, want)
	}
	if got := score(t, e, "n  ", "9"); got[0] != (Likelihood{-5, 3, 1, false}) {
		t.Errorf("behind spaces %+v, want them to be the ending's", got)
	}
	if text, err := e.Generate(t.Context(), "n", []string{"."}, 5); text != "one.two" || err != nil {
		t.Errorf("generated %q (%v)", text, err)
	}
}

// TestURLLongTexts: a text is scored in windows, each without its first token; a context
// that is too long loses its beginning until it fits.
func TestURLLongTexts(t *testing.T) {
	f := newFake(t)
	e := dial(t, f)
	e.window = 10
	got := score(t, e, "", strings.Repeat("ab 9 ", 5)) // 10 + 10 + 5 characters
	if want := (Likelihood{-2*17 - 5, 22, 22, false}); math.Abs(got[0].Logprob-want.Logprob) > 1e-12 || got[0] != want {
		t.Errorf("scored %+v, want %+v", got[0], want)
	}
	long := strings.Repeat("context ", 20)
	if got := score(t, e, long, "99"); got[0].Logprob != -4 || got[0].Tokens != 3 { // with the space before
		t.Errorf("behind a long context %+v", got)
	}
	if _, err := e.Generate(t.Context(), long, nil, 5); err != nil {
		t.Errorf("a long prompt: %v", err)
	}
	if _, err := e.Score(t.Context(), "a", []string{strings.Repeat("9", 60)}); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("an ending that never fits: %v", err)
	}
}

func TestURLFailures(t *testing.T) {
	f := newFake(t)
	e := dial(t, f)
	f.busy.Store(2)
	if score(t, e, "a", "9"); f.busy.Load() != -1 {
		t.Errorf("%d answers of a busy server are left", f.busy.Load())
	}
	f.bare = true
	if _, err := e.Score(t.Context(), "a", []string{"9"}); err == nil || !strings.Contains(err.Error(), "echo") {
		t.Errorf("without log-probabilities: %v", err)
	}
	if _, err := Dial(t.Context(), f.url+"/nowhere", "", ""); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("at a wrong address: %v", err)
	}
}

// FuzzEchoed: whatever lists a server sends, they are refused or count within the prompt.
func FuzzEchoed(f *testing.F) {
	f.Add(`{"token_logprobs": [null, -1], "top_logprobs": [null, {"a": -1}], "text_offset": [0, 1]}`, "ab", 1)
	f.Add(`{"token_logprobs": [-1, -1], "top_logprobs": [{}, {}], "text_offset": [9, -5]}`, "é", 0)
	f.Add(`{"token_logprobs": [-1], "top_logprobs": [], "text_offset": []}`, "", 0)
	f.Fuzz(func(t *testing.T, lists, prompt string, known int) {
		var e echoedTokens
		if json.Unmarshal([]byte(lists), &e) != nil {
			return
		}
		l, err := e.between(prompt, known)
		if err == nil && (l.Tokens > len(e.Offsets) || l.Bytes < 0) {
			t.Errorf("%d tokens, %d bytes of %q from %s", l.Tokens, l.Bytes, prompt, lists)
		}
	})
}

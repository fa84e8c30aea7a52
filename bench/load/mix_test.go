package load

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseLengths(t *testing.T) {
	for _, text := range []string{"128", "uniform:16,512", "lognormal:200,0.8,4096"} {
		l, err := ParseLengths(text)
		if err != nil || l.String() != text {
			t.Errorf("%s is read as %s (%v)", text, l, err)
		}
	}
	for _, text := range []string{"", "0", "-3", "x", "uniform:5", "uniform:9,3", "uniform:1,1e30", "lognormal:200,0.8", "lognormal:200,0,9",
		"lognormal:0,1,9", "lognormal:50,1,9", "lognormal:nan,1,9", "lognormal:5,99,9", "normal:1,2", "99999999999"} {
		if l, err := ParseLengths(text); err == nil {
			t.Errorf("%q is read as %+v", text, l)
		}
	}
}

// TestLognormal checks median and quartiles, which a cut far out leaves alone.
func TestLognormal(t *testing.T) {
	l, r := Lengths{Min: 1, Max: 1 << 20, Median: 1000, Sigma: 0.5}, rand.New(rand.NewPCG(1, 1))
	all := make([]int, 20001)
	for i := range all {
		all[i] = l.draw(r)
	}
	slices.Sort(all)
	for share, want := range map[float64]float64{0.25: 714, 0.5: 1000, 0.75: 1401} { // 1000 exp(0.5 * -0.6745, 0, +)
		if got := float64(all[int(share*20000)]); got < 0.97*want || got > 1.03*want {
			t.Errorf("quantile %v is %v, want about %v", share, got, want)
		}
	}
}

// asked is what a body asks for.
type asked struct {
	Prompt    json.RawMessage
	Messages  []message
	MaxTokens int `json:"max_tokens"`
}

func parse(t *testing.T, r Request) (a asked) {
	t.Helper()
	if err := json.Unmarshal(r.Body, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func ids(t *testing.T, r Request) (out []int) {
	t.Helper()
	if err := json.Unmarshal(parse(t, r).Prompt, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMixPrefixes: prompts begin with one of the shared beginnings and differ after it.
func TestMixPrefixes(t *testing.T) {
	m := Mix{Vocab: 1000, Prompt: Fixed(50), Output: Fixed(1), Prefixes: 3, PrefixTokens: 30}
	begins, all := map[string]int{}, map[string]bool{}
	for n := range 100 {
		p := ids(t, m.Request(n))
		if len(p) != 50 {
			t.Fatalf("a prompt of %d tokens", len(p))
		}
		text, _ := json.Marshal(p[:30])
		whole, _ := json.Marshal(p)
		begins[string(text)]++
		all[string(whole)] = true
	}
	if len(begins) != 3 || len(all) != 100 {
		t.Errorf("%d beginnings of %d prompts, want 3 of 100", len(begins), len(all))
	}
}

func TestMixLong(t *testing.T) {
	m := Mix{Vocab: 100, Prompt: Uniform(1, 9), Output: Fixed(1), LongShare: 0.2, Long: Fixed(400)}
	long := 0
	for n := range 500 {
		if got := len(ids(t, m.Request(n))); got == 400 {
			long++
		} else if got > 9 {
			t.Fatalf("a prompt of %d tokens", got)
		}
	}
	if long < 60 || long > 140 { // 100 expected, deviation 9
		t.Errorf("%d of 500 prompts are long, want about 100", long)
	}
}

// TestMixConversation: every turn holds what was said before, in chat and in text.
func TestMixConversation(t *testing.T) {
	m := Mix{Chat: true, Prompt: Fixed(4), Output: Fixed(5), Turns: 3, Think: time.Second}
	r := m.Request(1)
	first := parse(t, r)
	second := parse(t, r.Then("hello"))
	if len(first.Messages) != 1 || len(second.Messages) != 3 || second.Messages[0] != first.Messages[0] ||
		second.Messages[1] != (message{"assistant", "hello"}) || r.Think != time.Second {
		t.Errorf("turns %+v and %+v", first.Messages, second.Messages)
	}
	m.Chat = false
	r = m.Request(1)
	second = parse(t, r.Then("hello"))
	begin := strings.Trim(string(parse(t, r).Prompt), `"`)
	if !strings.HasPrefix(string(second.Prompt), `"`+begin+"hello ") {
		t.Errorf("%s is followed by %s", begin, second.Prompt)
	}
	third := r.Then("x")
	if third.Then != nil {
		t.Error("three turns do not end the conversation")
	}
}

func TestTrace(t *testing.T) {
	text := `{"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [1, 2]}
{"timestamp": 10, "input_length": 600, "output_length": 6, "hash_ids": [1, 3]}

{"timestamp": 10.5, "input_length": 3, "output_length": 7}
`
	trace, err := ReadTrace(strings.NewReader(text))
	if err != nil || len(trace) != 3 {
		t.Fatalf("%d requests (%v)", len(trace), err)
	}
	m := Mix{Vocab: 5000, Trace: trace}
	a, b, c := ids(t, m.Request(0)), ids(t, m.Request(1)), ids(t, m.Request(2))
	if len(a) != 700 || len(b) != 600 || len(c) != 3 || !slices.Equal(a[:512], b[:512]) || slices.Equal(a[512:600], b[512:]) {
		t.Errorf("prompts of %d, %d and %d tokens do not share what the trace says", len(a), len(b), len(c))
	}
	if m.Request(1).MaxTokens != 6 || m.Request(4).MaxTokens != 6 {
		t.Error("outputs are not the trace's")
	}
	for bad, want := range map[string]string{
		"":   "no request",
		"{}": "input_length is 0",
		"{\"timestamp\":5,\"input_length\":1,\"output_length\":1}\n{\"timestamp\":4,\"input_length\":1,\"output_length\":1}": "line 2",
		"{\"timestamp\":-1,\"input_length\":1,\"output_length\":1}":                                                          "timestamp",
		"[]": "line 1",
	} {
		if _, err := ReadTrace(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
}

// FuzzReadTrace: whatever is read is within bounds and in order.
func FuzzReadTrace(f *testing.F) {
	f.Add([]byte(`{"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [1, 2]}`))
	f.Add([]byte("{\"timestamp\": 1e300, \"input_length\": -1}\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trace, err := ReadTrace(strings.NewReader(string(text)))
		if (err == nil) != (len(trace) > 0) {
			t.Errorf("%d requests with %v", len(trace), err)
		}
		if !slices.IsSorted(take(Replay(trace, 1), 1<<62)) {
			t.Error("arrivals are not in order")
		}
		for i := range trace {
			if n := trace[i].Prompt; n < 1 || n > maxLength {
				t.Errorf("a prompt of %d", n)
			}
		}
	})
}

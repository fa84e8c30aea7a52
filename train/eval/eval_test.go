package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ingot-llm/ingot/train/corpus"
)

// oracle is a Scorer that finds an ending the likelier the more digits it has, writes what
// answers hold, and remembers what it was asked.
type oracle struct {
	answers map[string]string // by the prompt's end
	asked   atomic.Int64
	fail    error
}

func (o *oracle) Score(_ context.Context, before string, endings []string) ([]Likelihood, error) {
	o.asked.Add(1)
	out := make([]Likelihood, len(endings))
	for i, e := range endings {
		digits := strings.Count(e, "9")
		out[i] = Likelihood{Logprob: float64(digits - 10), Tokens: 2, Bytes: len(e), Greedy: digits > 1}
	}
	return out, o.fail
}

func (o *oracle) Generate(_ context.Context, prompt string, stop []string, maxTokens int) (string, error) {
	o.asked.Add(1)
	for end, text := range o.answers {
		if strings.HasSuffix(prompt, end) {
			return text, nil
		}
	}
	return "", errors.New("asked " + prompt)
}

// write puts lines into a file of the test's folder.
func write(t *testing.T, dir, name string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// task returns a task by its name.
func task(t *testing.T, name string) *Task {
	t.Helper()
	found, err := Find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

// near fails unless a metric has a value and an error, negative for none.
func near(t *testing.T, r *Result, i int, name string, value, stderr float64) {
	t.Helper()
	m := r.Metrics[i]
	if m.Name != name || math.Abs(m.Value-value) > 1e-9*max(1, value) {
		t.Errorf("%s: metric %d is %s %v, want %s %v", r.Task, i, m.Name, m.Value, name, value)
	}
	if (m.StdErr == nil) != (stderr < 0) || m.StdErr != nil && math.Abs(*m.StdErr-stderr) > 1e-9*max(1, stderr) {
		t.Errorf("%s: the error of %s is %v, want %v", r.Task, name, m.StdErr, stderr)
	}
}

func run(t *testing.T, s Scorer, name string, o Options) *Result {
	t.Helper()
	o.Parallel = 3
	if o.Shots == 0 {
		o.Shots = -1
	}
	r, err := Run(t.Context(), s, task(t, name), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestChoice: of log-probabilities -8, -7 and -9 the second is the likeliest; by character
// -8/2, -7/3 and -9/19 the last. Four rows, of which the model gets the second and the fourth
// right, have the error sqrt((4*1/4)/3)/2.
func TestChoice(t *testing.T) {
	dir := t.TempDir()
	choices := `"choices": ["99", "999", "9 xxxxxxxxxxxxxxxxx"]`
	write(t, dir, "arc_easy.jsonl",
		`{"query": "Question: a?", "gold": 0, `+choices+`}`,
		`{"query": "Question: b?", "gold": 1, `+choices+`}`,
		`{"query": "Question: c?", "gold": 2, `+choices+`}`,
		`{"query": "Question: d?", "gold": 1, `+choices+`}`)
	s := &oracle{}
	r := run(t, s, "arc_easy", Options{Data: dir})
	near(t, r, 0, "acc", 0.5, math.Sqrt(1.0/3)/2)
	near(t, r, 1, "acc_norm", 0.25, math.Sqrt((3*0.0625+0.5625)/3)/2)
	if r.Samples != 4 || s.asked.Load() != 4 {
		t.Errorf("%d samples, asked %d times", r.Samples, s.asked.Load())
	}
	r = run(t, s, "arc_easy", Options{Data: dir, Limit: 1})
	near(t, r, 0, "acc", 0, -1)
}

// TestEnding: the log-probabilities are -8 and -10, so that the perplexity is e^9, with an
// error of that times sqrt(2)/sqrt(2).
func TestEnding(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "lambada_openai.jsonl", `{"context": "a", "continuation": "99"}`, `{"context": "b", "continuation": "x"}`)
	r := run(t, &oracle{}, "lambada_openai", Options{Data: dir})
	near(t, r, 0, "perplexity", math.Exp(9), math.Exp(9))
	near(t, r, 1, "acc", 0.5, 0.5)
}

// TestText: 17 nats over 8 bytes and 4 tokens; the lines' own rates are 10/3 and 7/5 a byte.
func TestText(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.jsonl", `{"text": "abc"}`, `{"text": "a999d"}`, `{"title": "no text"}`)
	var told []error
	r := run(t, &oracle{}, "bpb", Options{Files: []string{filepath.Join(dir, "a.jsonl")}, Damaged: func(err error) { told = append(told, err) }})
	rate := 17.0 / 8
	near(t, r, 0, "bits_per_byte", rate/math.Ln2, math.Sqrt(2*(sq(10-3*rate)+sq(7-5*rate)))/8/math.Ln2)
	near(t, r, 1, "perplexity", math.Exp(17.0/4), math.Exp(17.0/4)*math.Sqrt(2*(sq(10-2*17.0/4)+sq(7-2*17.0/4)))/4)
	if r.Damaged != 1 || len(told) != 1 || !strings.Contains(told[0].Error(), "line 3") {
		t.Errorf("%d damaged, told %v", r.Damaged, told)
	}
}

func sq(x float64) float64 { return x * x }

// TestAnswers: the harness's rules for GSM8K, and SQuAD's F1.
func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "gsm8k.test-even.jsonl",
		`{"question": "one", "answer": "It is <<1+1=2>>2.\n#### 1,200"}`,
		`{"question": "two", "answer": "#### 7"}`,
		`{"question": "three", "answer": "#### -3"}`,
		`{"question": "four", "answer": "#### 5"}`)
	s := &oracle{answers: map[string]string{
		"Question: one\nAnswer:":   " So it is\n#### $1200. Or 3",
		"Question: two\nAnswer:":   " 5 + 2 is 7",
		"Question: three\nAnswer:": " nothing",
		"Question: four\nAnswer:":  " it is 4\n#### 5.",
	}}
	r, err := Run(t.Context(), s, task(t, "gsm8k"), Options{Data: dir, Parallel: 2})
	if err != nil {
		t.Fatal(err)
	}
	near(t, r, 0, "exact_match,strict-match", 0.25, 0.25)                  // the fourth; "#### $" is none
	near(t, r, 1, "exact_match,flexible-extract", 0.5, math.Sqrt(1.0/3)/2) // the second and the fourth
}

func TestOverlap(t *testing.T) {
	f := task(t, "fairytaleqa")
	for _, c := range []struct {
		got, want string
		f1        float64
	}{
		{"The old King.", "an old king", 1},
		{"the king of the sea", "king", 0.5},
		{"no no", "no", 2.0 / 3},
		{"a queen", "king", 0},
		{"the", "a", 1},
		{"", "king", 0},
	} {
		if got := overlap(f.normal(c.got), f.normal(c.want)); math.Abs(got-c.f1) > 1e-12 {
			t.Errorf("overlap(%q, %q) = %v, want %v", c.got, c.want, got, c.f1)
		}
	}
}

// TestRunEnds: an error ends a run, and so does a context.
func TestRunEnds(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf(`{"context": "%d", "continuation": "x"}`, i))
	}
	write(t, dir, "lambada_openai.jsonl", lines...)
	broken := errors.New("broken")
	s := &oracle{fail: broken}
	o := Options{Data: dir, Parallel: 4, Shots: -1}
	if _, err := Run(t.Context(), s, task(t, "lambada_openai"), o); !errors.Is(err, broken) || s.asked.Load() > 4 {
		t.Errorf("ended with %v after %d questions", err, s.asked.Load())
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Run(ctx, &oracle{}, task(t, "lambada_openai"), o); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was cancelled ended with %v", err)
	}
}

// TestProgress: every question counts once.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	row := `{"context": "a", "continuation": "x"}`
	write(t, dir, "lambada_openai.jsonl", row, row, row, row, row)
	last := 0
	run(t, &oracle{}, "lambada_openai", Options{Data: dir, Progress: func(done, total int) {
		if last++; done != last || total != 5 {
			t.Errorf("progress %d of %d, want %d of 5", done, total, last)
		}
	}})
}

// TestDamagedRows: what cannot be asked is named with its line, and costs only itself.
func TestDamagedRows(t *testing.T) {
	dir := t.TempDir()
	good := `{"query": "q", "choices": ["99", "9"], "gold": 0}`
	write(t, dir, "arc_easy.jsonl", good, `{"query": "q", "choices"`, "", `{"query": "q", "choices": ["a"], "gold": 1}`, `[1]`, `null`,
		`{"query": "q", "choices": [], "gold": 0}`, `{"query": ["q"], "choices": ["a", "b"], "gold": 0}`, `{"query": "q", "choices": ["a", {}], "gold": 0}`,
		`{"choices": ["a", "b"], "gold": 0}`, good)
	var lines []int
	r := run(t, &oracle{}, "arc_easy", Options{Data: dir, Damaged: func(err error) {
		var bad *corpus.DocumentError
		if !errors.As(err, &bad) {
			t.Fatalf("told %v", err)
		}
		lines = append(lines, bad.Line)
	}})
	if fmt.Sprint(lines) != "[2 4 5 6 7 8 9 10]" || r.Damaged != 8 || r.Samples != 2 {
		t.Errorf("lines %v damaged, %d in all, %d asked", lines, r.Damaged, r.Samples)
	}
	write(t, dir, "arc_easy.jsonl", `[]`)
	if _, err := Run(t.Context(), &oracle{}, task(t, "arc_easy"), Options{Data: dir, Parallel: 1}); err == nil {
		t.Error("a task without any row was run")
	}
	if _, err := Run(t.Context(), &oracle{}, task(t, "piqa"), Options{Data: dir, Parallel: 1}); err == nil || !strings.Contains(err.Error(), "piqa.jsonl.gz") {
		t.Errorf("without its file: %v", err)
	}
}

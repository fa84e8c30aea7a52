package eval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPrompts: rows of the shared files' forms become what lm-evaluation-harness makes of
// its own data sets' rows (train/testdata/lm_eval compares with the program itself).
func TestPrompts(t *testing.T) {
	for _, c := range []struct {
		task, row, prompt string
		endings           []string
		gold              int
	}{
		{"arc_easy", `{"query": "Question: Why?", "choices": ["a", "b"], "gold": 1}`, "Question: Why?\nAnswer:", []string{" a", " b"}, 1},
		{"piqa", `{"query": "Question: dresser\n", "choices": ["a", "b"], "gold": 0}`, "Question: dresser\nAnswer:", []string{" a", " b"}, 0},
		{"boolq", `{"query": "Passage: Some.\nQuestion: is it so?", "choices": ["no", "yes"], "gold": 1}`, "Some.\nQuestion: is it so?\nAnswer:", []string{" no", " yes"}, 1},
		{"copa", `{"query": "It rained, because", "choices": ["a.", "b."], "gold": 0}`, "It rained because", []string{"  a.", "  b."}, 0},
		{"openbookqa", `{"query": "There is fog around:", "choices": ["a marsh", "b"], "gold": 0}`, "There is fog around:", []string{" a marsh", " b"}, 0},
		{"fables", `{"query": "Q: ...\nAnswer: ", "choices": ["A", "B"], "gold": 1}`, "Q: ...\nAnswer:", []string{" A", " B"}, 1},
		{"mmlu", `{"subject": "abstract_algebra", "question": " How many? ", "choices": ["0", "4", "2", "6"], "answer": 1}`,
			"The following are multiple choice questions (with answers) about abstract algebra.\n\nHow many?\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:", []string{" A", " B", " C", " D"}, 1},
		{"lambada_openai", `{"context": "I don't care about", "continuation": "signs"}`, "I don't care about", []string{" signs"}, 0},
		{"gsm8k", `{"question": "How many {eggs}?", "answer": "#### 18"}`, "Question: How many {eggs}?\nAnswer:", []string{" #### 18"}, 0},
		{"svamp", `{"context": "How many?", "answer": 7}`, "Question: How many?\nAnswer:", []string{" 7"}, 0},
		{"arithmetic", `{"context": "25 - 759 =", "continuation": " -734"}`, "25 - 759 =", []string{" -734"}, 0},
		{"operators", `{"context": "op 17 =", "continuation": "34"}`, "op 17 =", []string{" 34"}, 0},
		{"fairytaleqa", `{"context": "A tale.", "question": "Who?", "answers": ["a king", "king"]}`, "A tale.\nQuestion: Who?\nAnswer:", []string{" a king"}, 0},
	} {
		q, err := readRow(c.row, task(t, c.task).question)
		if got := q.context(nil, 0); err != nil || got != c.prompt || !slices.Equal(q.endings, c.endings) || q.gold != c.gold {
			t.Errorf("%s: %q %q %d (%v), want %q %q %d", c.task, got, q.endings, q.gold, err, c.prompt, c.endings, c.gold)
		}
	}
}

// TestShots: the first rows other than the question, solved, with blank lines between.
func TestShots(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 4 {
		lines = append(lines, fmt.Sprintf(`{"query": "Q%d", "choices": ["a%d", "b%d"], "gold": %d}`, i, i, i, i%2))
	}
	write(t, dir, "openbook_qa.jsonl", lines...)
	var prompts []string
	questions, err := task(t, "openbookqa").questions(Options{Data: dir}, &Result{Shots: 2})
	for _, q := range questions {
		prompts = append(prompts, q.prompt)
	}
	want := []string{"Q1 b1\n\nQ2 a2\n\nQ0", "Q0 a0\n\nQ2 a2\n\nQ1", "Q0 a0\n\nQ1 b1\n\nQ2", "Q0 a0\n\nQ1 b1\n\nQ3"}
	if err != nil || !slices.Equal(prompts, want) {
		t.Errorf("prompts %q (%v), want %q", prompts, err, want)
	}
	if _, err := task(t, "openbookqa").questions(Options{Data: dir}, &Result{Shots: 5}); err == nil {
		t.Error("five examples of a file of four rows were given")
	}
}

// TestTasks: each task can be asked, and its outcomes have its metrics.
func TestTasks(t *testing.T) {
	seen := map[string]bool{}
	for _, task := range Tasks() {
		if seen[task.Name] || task.About == "" || len(task.Metrics) == 0 {
			t.Errorf("%q is there twice, or lacks its description or metrics", task.Name)
		}
		seen[task.Name] = true
		ask := kinds[task.Kind]
		if ask == nil {
			t.Errorf("%s: there is no kind %q", task.Name, task.Kind)
			continue
		}
		q := question{choices: []string{"a", "b"}, endings: []string{"a", "b"}, answers: []string{"a"}}
		o, err := ask(context.Background(), &oracle{answers: map[string]string{"": "a"}}, task, &q)
		for _, m := range task.Metrics {
			if v, known := o[m]; err != nil || !known || v.weight == 0 {
				t.Errorf("%s: the outcome %v (%v) has no %q", task.Name, o, err, m)
			}
		}
		if task.Kind == "answer" && task.MaxTokens < 1 {
			t.Errorf("%s: answers may have %d tokens", task.Name, task.MaxTokens)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct{ text, first string }{
		{"short", "short"},
		{"one\ntwo\nthree", "one\ntwo\n"},
		{"one two three", "one two "},
		{"éééééé", "éééé"},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", "\x80\x80\x80\x80\x80\x80\x80\x80\x80"},
	} {
		if got := c.text[:cut(c.text, 9)]; got != c.first {
			t.Errorf("cut(%q, 9) gives %q, want %q", c.text, got, c.first)
		}
	}
}

// FuzzRow: whatever stands in a line, a task makes a question of it or says what is wrong.
func FuzzRow(f *testing.F) {
	for _, s := range []string{
		`{"query": "q", "context": "c", "question": "?", "subject": "s", "continuation": "e", "choices": ["a", "b", "c", "d"], "gold": 1, "answer": 2, "answers": ["x"]}`,
		`{"question": {"a": 1}, "choices": "abcd", "answer": -1, "answers": [[]]}`, `{"choices": [1, 2.5, "\ud800"], "gold": 1e3}`, `{`, `null`, `[]`, "\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, task := range Tasks() {
			q, err := readRow(line, task.question)
			if err != nil || task.Kind == "text" {
				continue
			}
			if len(q.endings) == 0 || q.gold >= len(q.endings) || task.Kind == "choice" && len(q.choices) != len(q.endings) || task.Kind == "answer" && len(q.answers) == 0 {
				t.Errorf("%s made %+v of %q", task.Name, q, line)
			}
			if context := q.context([]question{q}, 1); !strings.HasSuffix(context, q.prompt) {
				t.Errorf("%s: the context %q ends without the prompt %q", task.Name, context, q.prompt)
			}
		}
	})
}

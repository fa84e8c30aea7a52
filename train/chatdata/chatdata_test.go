package chatdata

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

func openTokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Open(quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied"), "")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// learned returns the texts of the runs of learned tokens.
func learned(tok *tokenizer.Tokenizer, e Example) (runs []string) {
	for i := 0; i < len(e.Tokens); {
		j := i
		for j < len(e.Tokens) && e.Learned[j] == e.Learned[i] {
			j++
		}
		if e.Learned[i] {
			runs = append(runs, tok.Decode(e.Tokens[i:j], false))
		}
		i = j
	}
	return runs
}

var forms = map[string]string{
	"openai":   `{"messages":[{"role":"user","content":"first question"},{"role":"assistant","content":"first answer"},{"role":"user","content":"second question"},{"role":"assistant","content":"second answer"}]}`,
	"sharegpt": `{"conversations":[{"from":"human","value":"first question"},{"from":"gpt","value":"first answer"},{"from":"human","value":"second question"},{"from":"gpt","value":"second answer"}]}`,
}

// TestTemplates: of every shared template that marks turns, what is learned is what the
// assistant says, all of it or all but what the template shows otherwise, and nothing of
// what the user says.
func TestTemplates(t *testing.T) {
	tok := openTokenizer(t)
	files, err := filepath.Glob(filepath.Join(quanttest.Shared(t, "data", "chat-templates"), "*.jinja"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d templates, %v", len(files), err)
	}
	c, err := Parse([]byte(forms["openai"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := chat.NewFormat(string(source), "<s>", "</s>")
		if err != nil {
			t.Fatal(err)
		}
		e, err := Encode(c, f, tok)
		if unfit := strings.Contains(file, "command-r-plus"); unfit || err != nil {
			if !unfit || err == nil { // it writes its instructions behind the conversation: nothing continues the prompt
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
			continue
		}
		all := strings.Join(learned(tok, e), "|")
		if !strings.Contains(all, "second answer") || strings.Contains(all, "question") {
			t.Errorf("%s: learned is %q", filepath.Base(file), all)
		}
	}
}

func TestForms(t *testing.T) {
	for name, text := range forms {
		c, err := Parse([]byte(text))
		if err != nil || len(c.Messages) != 4 || c.roles[3] != "assistant" {
			t.Errorf("%s: %v, %v", name, c.roles, err)
		}
	}
	for text, want := range map[string]int{
		`{"instruction":"add","input":"1 2","output":"3"}`: 2, `{"system":"s","instruction":"add","output":"3"}`: 3,
		`{"prompt":"p","completion":"c"}`: 2, `{"question":"q","answer":"a"}`: 2,
	} {
		if c, err := Parse([]byte(text)); err != nil || len(c.Messages) != want {
			t.Errorf("%s: %d messages, %v", text, len(c.Messages), err)
		}
	}
	for _, text := range []string{`{}`, `{"messages":[{"role":"user","content":"x"}]}`, `{"messages":[{}]}`, `[]`, `{"conversations":[{"from":"dog","value":"x"}]}`} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}

func TestText(t *testing.T) {
	c, err := Parse([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"},{"role":"assistant","content":null}]}`))
	if got := c.Text(); err != nil || got != "ab\n\nc\n\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAsk(t *testing.T) {
	c, err := Ask([]byte(`{"title":"The Crow","by":"A","text":"Once."}`), "Tell me of {title} by {by}.", "text")
	if err != nil || string(c.Messages[0]) != `{"role":"user","content":"Tell me of The Crow by A."}` || !strings.Contains(string(c.Messages[1]), "Once.") {
		t.Errorf("%s, %v", c.Messages, err)
	}
	for _, text := range []string{`[]`, `{"title":1,"text":"x"}`, `{"title":"x"}`} {
		if _, err := Ask([]byte(text), "{title}", "text"); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}

// TestPromptIsServed: the tokens before what is learned are the prompt's, whatever follows.
func TestPromptIsServed(t *testing.T) {
	tok := openTokenizer(t)
	source, err := os.ReadFile(filepath.Join(quanttest.Shared(t, "data", "chat-templates"), "Qwen-Qwen2.5-7B-Instruct.jinja"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := chat.NewFormat(string(source), "", "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]byte(forms["openai"]))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Encode(c, f, tok)
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := c.render(f, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	want := tok.EncodeSegments(nil, between(prompt, 0, len(chat.Join(prompt))))
	for i, id := range want {
		if e.Tokens[i] != id || e.Learned[i] {
			t.Fatalf("token %d is %d, learned %v: the prompt has %d", i, e.Tokens[i], e.Learned[i], id)
		}
	}
	if !e.Learned[len(want)] {
		t.Error("the token after the prompt is not learned")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range forms {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := Parse(data); err == nil && len(c.roles) != len(c.Messages) {
			t.Errorf("%d roles of %d messages", len(c.roles), len(c.Messages))
		}
	})
}

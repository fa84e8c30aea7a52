package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/ingot-llm/ingot/engine/chat"
	"github.com/ingot-llm/ingot/engine/tokenizer"
	"github.com/ingot-llm/ingot/quant/quanttest"
)

// story returns the greedy continuation of a prompt by llama2.c's own program.
func story(t *testing.T, prompt string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(stories(t), "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Greedy []struct{ Prompt, Text string }
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for _, g := range golden.Greedy {
		if g.Prompt == prompt {
			return strings.TrimPrefix(g.Text, prompt)
		}
	}
	t.Fatalf("no golden text for %q", prompt)
	return ""
}

// TestRunOnce: one greedy answer to an argument, and to stdin, is llama2.c's.
func TestRunOnce(t *testing.T) {
	const prompt = "The little dog"
	greedy := []string{"run", stories(t), "--temperature", "0", "--max-tokens", "60", "--kv-type", "f32", "--stats"}
	check := func(o outcome) {
		t.Helper()
		if o.fault != nil {
			t.Fatal(o.fault)
		}
		got, ends := strings.CutSuffix(o.out, "\n")
		if !ends || len(got) < 60 || !strings.HasPrefix(story(t, prompt), got) {
			t.Errorf("run printed %q, want the beginning of %q", o.out, story(t, prompt))
		}
		if !strings.Contains(o.err, "no chat template") || !strings.Contains(o.err, "60 generated") {
			t.Errorf("stderr says %q", o.err)
		}
	}
	check(command("", append(greedy, prompt)...))
	check(command(prompt, greedy...))
}

func TestRunSettings(t *testing.T) {
	config := filepath.Join(t.TempDir(), "ingot.yaml")
	if err := os.WriteFile(config, []byte("temperature: 0\nmax-tokens: 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("INGOT_MAX_TOKENS", "4")
	o := command("", "run", stories(t), "The little dog", "--config", config, "--stats")
	if o.fault != nil || !strings.Contains(o.err, " 4 generated") {
		t.Errorf("with 9 tokens in the file and 4 in the environment: %q (%v)", o.err, o.fault)
	}
	o = command("", "run", stories(t), "x", "--config", config, "--top-p", "7")
	if ExitCode(o.fault) != 2 || !strings.Contains(o.fault.Error(), "top_p is 7") {
		t.Errorf("--top-p 7 gave %v", o.fault)
	}
	o = command("", "run", stories(t), "x", "--system", "be brief")
	if ExitCode(o.fault) != 2 || !strings.Contains(o.fault.Error(), "template") {
		t.Errorf("--system without a template gave %v", o.fault)
	}
}

func TestRunEncoder(t *testing.T) {
	o := command("", "run", quanttest.Shared(t, "data", "models", "golden", "arch", "bert"), "x")
	if ExitCode(o.fault) != 1 || !strings.Contains(o.fault.Error(), "/v1/embeddings") {
		t.Errorf("running an encoder gave %v", o.fault)
	}
}

// chatVoice is a voice with a chat template that answers by a function of the request.
func chatVoice(t *testing.T, answer func(engine.Request, *engine.Stream)) voice {
	t.Helper()
	tok, err := tokenizer.Open(quanttest.Shared(t, "data", "models", "golden", "tokenizer", "tokenizer.json"), "")
	if err != nil {
		t.Fatal(err)
	}
	const template = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}{# <think> #}`
	format, err := chat.NewFormat(template, "", "<|im_end|>")
	if err != nil {
		t.Fatal(err)
	}
	submit := func(_ context.Context, r engine.Request) (*engine.Stream, error) {
		s := engine.NewStream(1, func() {})
		answer(r, s)
		return s, nil
	}
	return voice{submit: submit, tokenizer: tok, chat: format, context: 4096}
}

// say pushes a whole answer.
func say(s *engine.Stream, text string) {
	s.Push(engine.Event{Text: text})
	s.Push(engine.Event{Finish: engine.FinishStop})
}

// echo is a model that says what it has been sent.
func echo(t *testing.T) voice {
	var v voice
	v = chatVoice(t, func(r engine.Request, s *engine.Stream) { say(s, v.tokenizer.Decode(r.Prompt, false)) })
	return v
}

// script is a lineReader of prepared lines; one that begins with "pasted:" is pasted.
type script struct{ lines []string }

func (s *script) ReadLine(string) (string, bool, error) {
	if len(s.lines) == 0 {
		return "", false, io.EOF
	}
	line := s.lines[0]
	s.lines = s.lines[1:]
	line, pasted := strings.CutPrefix(line, "pasted:")
	return line, pasted, nil
}

// converse runs a chat of the given lines and returns what it printed.
func converse(t *testing.T, v voice, lines ...string) (string, *conversation) {
	t.Helper()
	var out bytes.Buffer
	c := &conversation{voice: v, generation: newGeneration()}
	r := &repl{c: c, p: &printer{out: &out, thoughts: &out}, in: &script{lines}}
	if err := r.loop(context.Background()); err != nil {
		t.Fatal(err)
	}
	return out.String(), c
}

// TestChat: the whole conversation goes to the model each time, and control tokens that
// a user types are text.
func TestChat(t *testing.T) {
	out, c := converse(t, chatVoice(t, func(_ engine.Request, s *engine.Stream) { say(s, "fine") }), "/system Be kind.", "Hi <|im_end|>", "and you?")
	if strings.Count(out, "fine\n") != 2 || len(c.turns) != 4 || c.turns[3] != (turn{"assistant", "fine"}) {
		t.Errorf("printed %q, remembers %q", out, c.turns)
	}
	text, ids, err := c.prompt(append(c.turns, turn{"user", "x"}))
	want := "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\nfine<|im_end|>\n" +
		"<|im_start|>user\nand you?<|im_end|>\n<|im_start|>assistant\nfine<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
	if err != nil || text != want {
		t.Errorf("the prompt is %q (%v), want %q", text, err, want)
	}
	ends := 0
	end, _ := c.voice.tokenizer.ID("<|im_end|>")
	for _, id := range ids {
		if id == end {
			ends++
		}
	}
	if ends != 6 {
		t.Errorf("%d control tokens end a message, want 6: one for each message and none for the user's text", ends)
	}
}

func TestChatCommands(t *testing.T) {
	out, c := converse(t, echo(t), "/help", "/set temperature 0.5", "/set top-p 7", "/set max-tokens -1", "/set nonsense 1", "/set", "one", "/clear", "two", "/what", "/bye", "never")
	for _, want := range []string{"/system TEXT", "temperature 0.5\n", "top_p is 7", "max-tokens is -1", "nonsense", "top-p 1\n", "one", "two", "no command /what"} {
		if !strings.Contains(out, want) {
			t.Errorf("the chat does not print %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "never") || len(c.turns) != 2 || c.generation.sampling.Temperature != 0.5 || c.generation.sampling.TopP != 1 {
		t.Errorf("the chat ends with %q, %+v", c.turns, c.generation)
	}
}

// TestChatSurvivesErrors: an error is printed, its message forgotten, and the chat goes on.
func TestChatSurvivesErrors(t *testing.T) {
	fails := true
	v := chatVoice(t, func(_ engine.Request, s *engine.Stream) {
		if fails {
			s.Push(engine.Event{Finish: engine.FinishError, Err: errors.New("the step broke")})
		} else {
			say(s, "better")
		}
		fails = false
	})
	out, c := converse(t, v, "one", "two")
	if !strings.Contains(out, "error: the step broke") || !strings.Contains(out, "better") || len(c.turns) != 2 || c.turns[0].text != "two" {
		t.Errorf("printed %q, remembers %q", out, c.turns)
	}
}

// TestChatInterrupted: Ctrl-C stops an answer that would never end; what has come stays
// in the conversation, and the chat goes on.
func TestChatInterrupted(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	v := chatVoice(t, func(_ engine.Request, s *engine.Stream) { s.Push(engine.Event{Text: "on and on"}) })
	var out bytes.Buffer
	c := &conversation{voice: v, generation: newGeneration()}
	r := &repl{c: c, p: &printer{out: interrupting{&out, interrupts}, thoughts: io.Discard}, in: &script{[]string{"go", "/clear"}}, interrupts: interrupts}
	if err := r.loop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "on and on\n") || strings.Contains(got, "error") || !strings.Contains(got, "forgotten") {
		t.Errorf("printed %q", got)
	}
}

// interrupting sends an interrupt once the answer shows.
type interrupting struct {
	io.Writer
	to chan<- os.Signal
}

func (w interrupting) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("on and on")) {
		w.to <- os.Interrupt
	}
	return w.Writer.Write(p)
}

func TestContextFull(t *testing.T) {
	v := echo(t)
	v.context = 8
	out, _ := converse(t, v, "a message that takes more than eight tokens")
	if !strings.Contains(out, "context of 8") || !strings.Contains(out, "/clear") {
		t.Errorf("printed %q", out)
	}
}

// TestReading: a long prompt's reading shows until the answer begins.
func TestReading(t *testing.T) {
	var out bytes.Buffer
	r := &reading{out: &out}
	r.begin(100)
	r.progress.next = time.Now()
	r.step(engine.StepStats{PrefillRows: 60})
	r.step(engine.StepStats{PrefillRows: 40})
	r.end()
	r.step(engine.StepStats{DecodeRows: 1})
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "done=60 total=100") {
		t.Errorf("printed %q", got)
	}
}

// TestReasoning: on a terminal reasoning is dimmed, elsewhere it stays out of the answer.
func TestReasoning(t *testing.T) {
	v := chatVoice(t, func(_ engine.Request, s *engine.Stream) { say(s, "<think>hmm \x1b[31m</think>yes") })
	check := func(styled bool, wantOut, wantThoughts string) {
		t.Helper()
		var out, thoughts bytes.Buffer
		p := &printer{out: &out, thoughts: &thoughts, styled: styled}
		if err := p.answer(context.Background(), &conversation{voice: v, generation: newGeneration()}, "?"); err != nil {
			t.Fatal(err)
		}
		if out.String() != wantOut || thoughts.String() != wantThoughts {
			t.Errorf("styled %v: printed %q and %q, want %q and %q", styled, out.String(), thoughts.String(), wantOut, wantThoughts)
		}
	}
	check(false, "yes\n", "hmm \x1b[31m\n")
	check(true, "\x1b[2mhmm [31m\x1b[0m\n\nyes\n", "")
}

func TestReadMessage(t *testing.T) {
	check := func(want string, lines ...string) {
		t.Helper()
		got, err := readMessage(&script{lines})
		if err != nil || got != want {
			t.Errorf("lines %q make %q (%v), want %q", lines, got, err, want)
		}
	}
	check("hello", "hello")
	check("", "")
	check("a\nb", `a\`, "b")
	check("a\nb", `"""a`, `b"""`)
	check("\n a\\\n", `"""`, ` a\`, `"""`)
	check("in one", `"""in one"""`)
	check("a\nb\nc", "pasted:a", "pasted:b", "c")
	if _, err := readMessage(&script{[]string{`"""open`}}); !errors.Is(err, io.EOF) {
		t.Errorf("the end within a text gives %v", err)
	}
}

// TestClearing: Ctrl-C reaches the line editor as the keys that clear the line.
func TestClearing(t *testing.T) {
	got, err := io.ReadAll(clearing{strings.NewReader("ab\x03c")})
	if err != nil || string(got) != "ab\x05\x15c" {
		t.Errorf("read %q (%v)", got, err)
	}
}

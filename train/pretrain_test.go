package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/engine/cli"
	"github.com/ingot-llm/ingot/quant/quanttest"
	"github.com/ingot-llm/ingot/train/board"
)

// command runs "ingot train ARGS" and returns what it prints.
func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(args...)
	if err != nil {
		t.Fatalf("ingot train %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func try(args ...string) (string, error) { return tryUntil(context.Background(), args...) }

// tryUntil is try with a command that is told to end when ctx ends.
func tryUntil(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	root := cli.Group("ingot", "", "")
	root.AddCommand(Commands()...)
	root.SetOut(&out)
	root.SetErr(&out)
	err := cli.Execute(ctx, root, append([]string{"train"}, args...))
	return out.String(), err
}

// testData makes a folder of shards from made-up sentences and returns it with the
// tokenizer's.
func testData(t *testing.T) (data, tokenizer string) {
	t.Helper()
	tokenizer = quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	random := rand.New(rand.NewPCG(1, 2))
	var lines strings.Builder
	for range 400 {
		fmt.Fprintf(&lines, "{\"text\":\"The %s %s the %s and went %s.\"}\n", word(random, "fox", "crow", "king", "girl"),
			word(random, "saw", "found", "asked", "fed"), word(random, "river", "old man", "bread", "stone"), word(random, "home", "away", "to sleep", "on"))
	}
	text := filepath.Join(t.TempDir(), "text.jsonl")
	if err := os.WriteFile(text, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(t.TempDir(), "data")
	command(t, "data", "--tokenizer", tokenizer, "--out", data, "--valid", "0.1", text)
	return data, tokenizer
}

func word(random *rand.Rand, words ...string) string { return words[random.IntN(len(words))] }

// pretrainArgs is a run of some seconds at most.
func pretrainArgs(data, tokenizer, out string, seed, steps int) []string {
	return []string{"pretrain", "--preset", "nano", "--tokenizer", tokenizer, "--data", data, "--out", out, "--steps", fmt.Sprint(steps), "--seed", fmt.Sprint(seed),
		"--batch-tokens", "128", "--micro-tokens", "64", "--context", "32", "--save-every", "7", "--eval-every", "0", "--valid-tokens", "64", "--warmup", "5"}
}

// TestPretrain trains on sentences of one form: the loss falls far below that of single
// letters, the log has a line a step, and the model that comes out opens as the engine's.
func TestPretrain(t *testing.T) {
	data, tokenizer := testData(t)
	out := filepath.Join(t.TempDir(), "run")
	printed := command(t, append(pretrainArgs(data, tokenizer, out, 1, 150), "--dashboard", "127.0.0.1:0")...)
	if !strings.Contains(printed, "ingot serve --model") {
		t.Errorf("printed:\n%s", printed)
	}
	if loss := lastLoss(t, printed); !(loss < 1.2) {
		t.Errorf("the validation loss is %g", loss)
	}
	lines, err := os.ReadFile(filepath.Join(out, "log.jsonl"))
	if err != nil || bytes.Count(lines, []byte(`"tok_s"`)) != 150 {
		t.Errorf("%d lines of steps, %v", bytes.Count(lines, []byte(`"tok_s"`)), err)
	}
	report, err := os.ReadFile(filepath.Join(out, "report.html"))
	for _, want := range []string{"150 of 150", "parameters", "Validation, bits per byte", "<th>batch-tokens</th><td class=\"text\">128</td>", "Once upon a time"} {
		if !strings.Contains(string(report), want) {
			t.Errorf("the report lacks %q (%v)", want, err)
		}
	}
	if !strings.Contains(printed, "dashboard url=http://127.0.0.1:") {
		t.Errorf("no dashboard in\n%s", printed)
	}
	checkExported(t, filepath.Join(out, "model"))
}

// conversations are 300 lines of one form.
func conversations() string {
	random := rand.New(rand.NewPCG(3, 4))
	var lines strings.Builder
	for i := range 300 {
		animal := word(random, "fox", "crow", "goose", "cat")
		fmt.Fprintf(&lines, "{\"messages\":[{\"role\":\"user\",\"content\":\"Who is at number %d?\"},{\"role\":\"assistant\",\"content\":\"It is the %s, the %s.\"}]}\n", i, animal, animal)
	}
	return lines.String()
}

// TestSFT tunes a model on conversations of one form: the loss on the answers falls far
// below that of a random one, and the model that comes out keeps its chat template.
func TestSFT(t *testing.T) {
	base := quanttest.Shared(t, "data", "models", "golden", "arch", "llama-tied")
	text, data, out := filepath.Join(t.TempDir(), "chats.jsonl"), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(text, []byte(conversations()+"{\"messages\":[]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"data", "--tokenizer", base, "--chat", "--out", data, "--valid", "0.3", text}
	if _, err := try(args...); err == nil || !strings.Contains(err.Error(), "line 301") {
		t.Errorf("a line without a conversation: %v", err)
	}
	command(t, append(args, "--policy", "skip")...)
	printed := command(t, "sft", "--model", base, "--data", data, "--out", out, "--steps", "100", "--batch-tokens", "256", "--micro-tokens", "256",
		"--lr", "5e-3", "--valid-tokens", "256", "--eval-every", "0")
	if loss := lastLoss(t, printed); !(loss < 0.5) {
		t.Errorf("the validation loss is %g", loss)
	}
	src := opened(t, filepath.Join(out, "model"))
	defer src.Close()
	if !strings.Contains(src.Meta().String("tokenizer.chat_template", ""), "im_start") {
		t.Error("the model has lost its chat template")
	}
}

// lastLoss returns the validation loss that a run printed last.
func lastLoss(t *testing.T, printed string) (loss float64) {
	t.Helper()
	for _, part := range strings.Split(printed, "validation loss ")[1:] {
		if _, err := fmt.Sscanf(part, "%f", &loss); err != nil {
			t.Fatal(err)
		}
	}
	if loss == 0 {
		t.Fatalf("no validation loss in\n%s", printed)
	}
	return loss
}

// TestResumeBits kills runs at random moments and goes on with them, over and over: the
// checkpoint at the end has the bits of a run that nobody disturbed. INGOT_SEEDS asks for
// more runs, INGOT_STEPS for longer ones.
func TestResumeBits(t *testing.T) {
	if args := os.Getenv("INGOT_TRAIN"); args != "" {
		if out, err := try(strings.Split(args, "\n")...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	data, tokenizer := testData(t)
	steps := fromEnv("INGOT_STEPS", 40)
	for seed := range fromEnv("INGOT_SEEDS", 3) {
		straight, torn := filepath.Join(t.TempDir(), "straight"), filepath.Join(t.TempDir(), "torn")
		command(t, variedArgs(data, tokenizer, straight, seed, steps)...)
		random := rand.New(rand.NewPCG(9, uint64(seed)))
		for kills := 0; ; kills++ {
			done := trainUntilKilled(t, variedArgs(data, tokenizer, torn, seed, steps), time.Duration(300+random.IntN(700))*time.Millisecond)
			if done {
				break
			}
			if kills == 100 {
				t.Fatal("killed 100 times and not done")
			}
		}
		if a, b := stateSum(t, straight, steps), stateSum(t, torn, steps); a != b {
			t.Errorf("seed %d: the state has other bits after kills", seed)
		}
		log := board.Follower{Dir: torn}
		if err := log.Read(); err != nil || len(log.Run.Curve("loss").Steps) != steps {
			t.Errorf("seed %d: the log tells of losses at steps %v, %v", seed, log.Run.Curve("loss").Steps, err)
		}
	}
}

// variedArgs is pretrainArgs with what else has a state, by the seed.
func variedArgs(data, tokenizer, out string, seed, steps int) []string {
	more := [][]string{{"--optimizer", "adamw", "--qat", "Q4_0"}, {"--ema", "0.99"}, {"--optimizer", "sgd", "--lr", "0.05", "--ema", "0.9"}}
	return append(pretrainArgs(data, tokenizer, out, seed, steps), more[seed%len(more)]...)
}

func fromEnv(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

// trainUntilKilled runs the command in a process of its own, which it kills after a
// while, and reports whether it was done before.
func trainUntilKilled(t *testing.T, args []string, after time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestResumeBits$")
	cmd.Env = append(os.Environ(), "INGOT_TRAIN="+strings.Join(args, "\n"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	timer := time.AfterFunc(after, func() { killed = true; _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		return false
	}
	if err != nil && !killed {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return err == nil
}

func stateSum(t *testing.T, run string, step int) [32]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(run, "checkpoints", fmt.Sprintf("step-%08d", step), "state.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// TestUsage: what a command line lacks or gets wrong is named.
func TestUsage(t *testing.T) {
	data, tokenizer := testData(t)
	for want, args := range map[string][]string{
		"training needs --tokenizer": {"pretrain"}, "--model (to tune)": {"sft", "--data", data},
		"--recompute: \"all\"":   {"pretrain", "--tokenizer", tokenizer, "--data", data, "--out", t.TempDir(), "--recompute", "all"},
		"unknown shape \"huge\"": {"pretrain", "--tokenizer", tokenizer, "--data", data, "--out", t.TempDir(), "--preset", "huge"},
		"has no shards":          {"pretrain", "--tokenizer", tokenizer, "--data", t.TempDir(), "--out", t.TempDir()},
		"unknown schedule":       {"pretrain", "--tokenizer", tokenizer, "--data", data, "--out", t.TempDir(), "--schedule", "up"},
		"the weight behind =":    {"pretrain", "--tokenizer", tokenizer, "--data", data + "=0", "--out", t.TempDir()},
		"--dashboard-public":     {"pretrain", "--tokenizer", tokenizer, "--data", data, "--out", t.TempDir(), "--dashboard", "0.0.0.0:6006"},
		"--policy is":            {"data", "--tokenizer", tokenizer, "--out", t.TempDir(), "--policy", "ask", data},
	} {
		if out, err := try(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
}

package sched

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/engine/batch"
)

var rewrite = flag.Bool("rewrite", false, "write the printed output into testdata/*.txt")

// TestScripts runs testdata/*.txt: blocks of commands, a line "----", and what they print
// up to an empty line. Lines that start with # are comments.
//
//	config seqs=4 rows=32 chunk=16 context=96 waiting=8 blocks=8   a new scheduler
//	add id=1 key=a prompt=7*20 max=4 n=1 prio=0 logits salt=x      20 tokens of id 7, "+" joins runs
//	price limit=30 step=2 decode=1 prompt=1 key=0                  of the steps from here on
//	step [n]           n steps; samples get the tokens 101, 102, ... in turn
//	step done=1/0      the same, and that sequence says it is done
//	cancel 1
//	stats
func TestScripts(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.txt")
	if len(paths) == 0 {
		t.Fatal("no scripts in testdata")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(text))
			if *rewrite {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("the output differs (-rewrite accepts it):\n%s", got)
			}
		})
	}
}

// script is the state between a script's commands.
type script struct {
	t     *testing.T
	s     *Scheduler
	token int32
	out   strings.Builder
}

// runScript returns the script with the output printed anew.
func runScript(t *testing.T, text string) string {
	sc := &script{t: t, token: 100}
	var all strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		commands, _, found := strings.Cut(block, "\n----")
		all.WriteString(commands + "\n")
		if found {
			sc.out.Reset()
			for _, line := range strings.Split(commands, "\n") {
				if !strings.HasPrefix(line, "#") {
					sc.command(strings.Fields(line))
				}
			}
			all.WriteString("----\n" + sc.out.String())
		}
		all.WriteString("\n")
	}
	return strings.TrimSuffix(all.String(), "\n")
}

func (sc *script) command(words []string) {
	args := map[string]string{}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		args[name] = value
	}
	switch words[0] {
	case "config":
		sc.s = New(Config{MaxSeqs: sc.int(args["seqs"]), MaxBatchTokens: sc.int(args["rows"]), ChunkTokens: sc.int(args["chunk"]),
			MaxContext: sc.int(args["context"]), MaxWaiting: sc.int(args["waiting"]), Blocks: sc.int(args["blocks"])})
	case "price":
		sc.s.SetPrice(Price{Limit: int64(sc.int(args["limit"])), Step: int64(sc.int(args["step"])),
			Decode: int64(sc.int(args["decode"])), Prompt: int64(sc.int(args["prompt"])), Key: int64(sc.int(args["key"]))})
	case "add":
		sc.add(args)
	case "step":
		n := 1
		if len(words) > 1 && args["done"] == "" {
			n = sc.int(words[1])
		}
		for range n {
			sc.step(args["done"])
		}
	case "cancel":
		fmt.Fprintf(&sc.out, "live %v\n", sc.s.Cancel(uint64(sc.int(words[1]))))
	case "stats":
		fmt.Fprintf(&sc.out, "%+v\n", sc.s.Stats())
	default:
		sc.t.Fatalf("unknown command %q", words[0])
	}
	if err := sc.s.Check(); err != nil {
		sc.t.Fatalf("after %v: %v", words, err)
	}
}

func (sc *script) int(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		sc.t.Fatal(err)
	}
	return n
}

func (sc *script) add(args map[string]string) {
	r := Request{N: 1, Key: args["key"], Salt: args["salt"], ID: uint64(sc.int(args["id"])), MaxTokens: sc.int(args["max"])}
	if v, ok := args["n"]; ok {
		r.N = sc.int(v)
	}
	if v, ok := args["prio"]; ok {
		r.Priority = sc.int(v)
	}
	_, r.PromptLogits = args["logits"]
	for _, run := range strings.Split(args["prompt"], "+") {
		id, n, _ := strings.Cut(run, "*")
		r.Prompt = append(r.Prompt, prompt(sc.int(id), sc.int(n))...)
	}
	switch err := sc.s.Add(r); {
	case errors.Is(err, ErrQueueFull), errors.Is(err, ErrTooLong):
		fmt.Fprintf(&sc.out, "refused: %v\n", err)
	case err != nil:
		sc.t.Fatal(err)
	}
}

// step prints a batch, a line for each sequence's run and one for each token committed.
func (sc *script) step(done string) {
	b := sc.s.Next()
	if b == nil {
		fmt.Fprintln(&sc.out, "idle")
		return
	}
	fmt.Fprintf(&sc.out, "step of %d rows", len(b.Tokens))
	for _, c := range b.Copies {
		fmt.Fprintf(&sc.out, ", copy %d to %d", c.Src, c.Dst)
	}
	fmt.Fprintln(&sc.out)
	for i := range b.Seqs {
		sc.line(b, i)
		for _, m := range b.Samples {
			if b.LogitSeq[m.Logit] != int32(i) {
				continue
			}
			sc.token++
			name := fmt.Sprintf("%d/%d", m.Seq.Request, m.Seq.Index)
			fmt.Fprintf(&sc.out, "  %s gets %d", name, sc.token)
			if sc.s.Commit(m.Seq, sc.token, name == done) {
				fmt.Fprint(&sc.out, " and ends")
			}
			fmt.Fprintln(&sc.out)
		}
	}
}

func (sc *script) line(b *batch.Batch, i int) {
	from, to := b.RowStart[i], b.RowStart[i+1]
	logits := 0
	for _, at := range b.LogitSeq {
		if at == int32(i) {
			logits++
		}
	}
	fmt.Fprintf(&sc.out, "  %d/%d positions %d..%d blocks %v logits %d\n", b.Seqs[i].Request, b.Seqs[i].Index,
		b.Positions[from], b.Positions[to-1], b.Tables[b.TableStart[i]:b.TableStart[i+1]], logits)
}

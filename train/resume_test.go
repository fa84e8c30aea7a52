package train

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingot-llm/ingot/train/board"
)

// afterSteps calls f when a run's log has a number of steps.
func afterSteps(out string, steps int, f func()) {
	for {
		log, _ := os.ReadFile(filepath.Join(out, board.LogName))
		if bytes.Contains(log, []byte(`{"run":`)) && bytes.Count(log, []byte(`"tok_s"`)) >= steps {
			f()
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestInterrupted interrupts a run: when the command ends the checkpoint of its last step
// is written, and the run that goes on ends with the bits of an undisturbed one.
func TestInterrupted(t *testing.T) {
	data, tokenizer := testData(t)
	straight, torn := filepath.Join(t.TempDir(), "straight"), filepath.Join(t.TempDir(), "torn")
	command(t, pretrainArgs(data, tokenizer, straight, 1, 40)...)
	ctx, interrupt := context.WithCancel(context.Background())
	go afterSteps(torn, 10, interrupt)
	if out, err := tryUntil(ctx, pretrainArgs(data, tokenizer, torn, 1, 40)...); err == nil || err.Error() != "interrupted" {
		t.Fatalf("%v\n%s", err, out)
	}
	log := board.Follower{Dir: torn}
	if err := log.Read(); err != nil || log.Run.Step() < 10 || log.Run.Step() >= 40 {
		t.Fatalf("interrupted at step %d, %v", log.Run.Step(), err)
	}
	stateSum(t, torn, log.Run.Step()) // there is one
	command(t, pretrainArgs(data, tokenizer, torn, 1, 40)...)
	if stateSum(t, straight, 40) != stateSum(t, torn, 40) {
		t.Error("the state has other bits after an interruption")
	}
}

// TestSaveFails: a checkpoint that cannot be written ends the run at one of the next steps.
func TestSaveFails(t *testing.T) {
	data, tokenizer := testData(t)
	out := filepath.Join(t.TempDir(), "run")
	go afterSteps(out, 0, func() { // a file lies where the checkpoint's folder is made
		_ = os.WriteFile(filepath.Join(out, "checkpoints", fmt.Sprintf(".step-%08d", 35)), nil, 0o644)
	})
	printed, err := try(append(pretrainArgs(data, tokenizer, out, 1, 5000), "--save-every", "35")...)
	if err == nil || !strings.Contains(err.Error(), "cannot save the checkpoint of step 35") {
		t.Fatalf("%v\n%s", err, printed)
	}
	log := board.Follower{Dir: out}
	if err := log.Read(); err != nil || log.Run.Step() > 70 {
		t.Errorf("the run went on to step %d, %v", log.Run.Step(), err)
	}
}

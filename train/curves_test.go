package train

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTensorBoard has TensorBoard read the events of a run that made some steps twice, as
// after a kill: it shows what the log says, every step once. INGOT_PYTHON names a Python
// that has it; the default is python3.
func TestTensorBoard(t *testing.T) {
	python := pythonWith(t, "tensorboard.backend")
	data, tokenizer := testData(t)
	run := filepath.Join(t.TempDir(), "run")
	args := append(pretrainArgs(data, tokenizer, run, 1, 14), "--eval-every", "3")
	command(t, args...)
	if err := os.RemoveAll(filepath.Join(run, "checkpoints", fmt.Sprintf("step-%08d", 14))); err != nil {
		t.Fatal(err)
	}
	command(t, args...)
	if files, _ := filepath.Glob(filepath.Join(run, eventsFolder, "*")); len(files) != 2 {
		t.Errorf("the two processes wrote %v", files)
	}
	if printed, err := exec.Command(python, "-B", filepath.Join("testdata", "events.py"), run).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

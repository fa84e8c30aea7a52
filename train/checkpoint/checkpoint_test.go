package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func state(step int) []Array {
	random := rand.New(rand.NewPCG(1, uint64(step)))
	arrays := []Array{{"a", make([]float32, 1000)}, {"b", make([]float32, 70000)}}
	for _, a := range arrays {
		for i := range a.Values {
			a.Values[i] = random.Float32()
		}
	}
	return arrays
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func save(t *testing.T, s *Store, step int, loss float64) {
	t.Helper()
	m := Manifest{Step: step, Loss: loss, State: json.RawMessage(fmt.Sprintf(`{"at":%d}`, step))}
	if err := s.Save(m, state(step)); err != nil {
		t.Fatal(err)
	}
}

// expect checks that the latest checkpoint is whole and of step.
func expect(t *testing.T, s *Store, step int) []error {
	t.Helper()
	got := state(0)
	m, damaged, err := s.Latest(got)
	if err != nil {
		t.Fatal(err)
	}
	if m.Step != step {
		t.Errorf("the latest is of step %d, want %d", m.Step, step)
	}
	for i, a := range state(m.Step) {
		if !slices.Equal(a.Values, got[i].Values) {
			t.Errorf("array %s of step %d has other values", a.Name, m.Step)
		}
	}
	return damaged
}

func TestKeeps(t *testing.T) {
	s := open(t, t.TempDir())
	if _, _, err := s.Latest(state(0)); !errors.Is(err, ErrNone) {
		t.Errorf("an empty folder: %v", err)
	}
	for i, loss := range []float64{3, 1, 2, 2.5, 0} {
		save(t, s, 100*(i+1), loss)
	}
	expect(t, s, 500)
	all, _ := s.steps()
	var names []string
	for _, p := range all {
		names = append(names, filepath.Base(p))
	}
	if want := []string{"step-00000200", "step-00000400", "step-00000500"}; !slices.Equal(names, want) {
		t.Errorf("kept %v, want the best and the newest two: %v", names, want)
	}
}

// TestDamage flips or cuts the newest checkpoint's files anywhere: the one before loads,
// and the error names the damaged one.
func TestDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 3))
	for _, file := range []string{stateFile, manifestFile} {
		for range 30 {
			s := open(t, t.TempDir())
			save(t, s, 1, 0)
			save(t, s, 2, 0)
			path := filepath.Join(s.dir, name(2), file)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if at := random.IntN(len(data)); random.IntN(2) == 0 {
				data[at] ^= 0x40
			} else {
				data = data[:at]
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			m, damaged, err := s.Latest(state(0))
			if err != nil || m.Step == 2 && file == stateFile {
				t.Fatalf("step %d, %v", m.Step, err)
			}
			if m.Step == 1 && (len(damaged) != 1 || !strings.Contains(damaged[0].Error(), name(2))) {
				t.Errorf("damage is reported as %v", damaged)
			}
		}
	}
}

// TestFaults lets each operation of a save fail in turn, alone or with all after it, of a
// new step and of one that a run which went back makes again: what was there before is
// still there, and nothing is carried out after the failure that takes it away.
func TestFaults(t *testing.T) {
	for _, step := range []int{2, 3} {
		for _, onwards := range []bool{true, false} {
			n := 0
			for savesWithFault(t, step, n, onwards) {
				n++
			}
			if n < 8 {
				t.Errorf("a save has %d operations only", n)
			}
		}
	}
}

// savesWithFault saves step beside steps 1 and 2 with operation n failing, and those
// after it where onwards is set. It returns false once a save has no operation n.
func savesWithFault(t *testing.T, step, n int, onwards bool) bool {
	t.Helper()
	s := open(t, t.TempDir())
	save(t, s, 1, 0)
	save(t, s, 2, 0)
	at, failed := -1, false
	s.before = func(operation string) error {
		if at++; at == n || onwards && at > n {
			failed = true
			return fmt.Errorf("no space for %s", operation)
		}
		return nil
	}
	err := s.Save(Manifest{Step: step}, state(step))
	if failed != (err != nil) {
		t.Errorf("operation %d failed: %v, and the save gives %v", n, failed, err)
	}
	s.Close()
	again := open(t, s.dir) // as the next process finds it
	m, damaged, latest := again.Latest(state(0))
	if latest != nil || len(damaged) > 0 || m.Step < 2 {
		t.Fatalf("step %d with operation %d failing (%v): the latest is %d, damaged %v, %v", step, n, err, m.Step, damaged, latest)
	}
	expect(t, again, m.Step)
	return failed
}

func TestLock(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := Open(s.dir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second trainer in the folder: %v", err)
	}
}

// TestOtherSettings: arrays of another run change nothing.
func TestOtherSettings(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, 1, 0)
	other := []Array{{"a", make([]float32, 1000)}, {"c", make([]float32, 70000)}}
	if _, _, err := s.Latest(other); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	if slices.Max(other[0].Values) != 0 {
		t.Error("an array was changed")
	}
}

// TestKilled kills a process that saves without pause at random moments, over and over:
// there is always a checkpoint to load. INGOT_KILLS asks for more moments than 15.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("INGOT_SAVE_FOREVER"); dir != "" {
		saveForever(t, dir)
	}
	kills := 15
	if n, err := strconv.Atoi(os.Getenv("INGOT_KILLS")); err == nil {
		kills = n
	}
	random := rand.New(rand.NewPCG(4, 5))
	dir := t.TempDir()
	for i := range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "INGOT_SAVE_FOREVER="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitForFirst(dir)
		time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, damaged, err := s.Latest(state(0))
		if err != nil || len(damaged) > 0 {
			t.Fatalf("after kill %d: step %d, damaged %v, %v", i, m.Step, damaged, err)
		}
		expect(t, s, m.Step)
		s.Close()
	}
}

// waitForFirst waits until the folder has a checkpoint: before it there is none to lose.
func waitForFirst(dir string) {
	for {
		if all, _ := filepath.Glob(filepath.Join(dir, prefix+"*")); len(all) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func saveForever(t *testing.T, dir string) {
	s := open(t, dir)
	m, _, err := s.Latest(state(0))
	if err != nil && !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
	arrays := state(0)
	for step := m.Step + 1; ; step++ {
		put(arrays, state(step))
		if err := s.Start(Manifest{Step: step}, arrays); err != nil {
			t.Fatal(err)
		}
	}
}

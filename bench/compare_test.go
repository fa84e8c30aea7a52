package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a shell script that tells of every run and prints lines.
func program(t *testing.T, dir, name, lines string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >> %s/calls\ncat <<'end'\n%s\nend\n", name, dir, lines)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCompareCommand(t *testing.T) {
	dir := t.TempDir()
	a := program(t, dir, "a", "hello\n{\"kind\":\"prefill\",\"batch\":1,\"prompt\":9,\"tok_s\":100}\n{\"kind\":\"decode\",\"batch\":4,\"tok_s\":10}\n{\"kind\":\"only a\",\"tok_s\":1}")
	b := program(t, dir, "b", "{\"kind\":\"decode\",\"batch\":4,\"tok_s\":15}\n{\"kind\":\"prefill\",\"batch\":1,\"prompt\":9,\"tok_s\":50}")
	out, _, err := command("bench", "compare", a+" first", b, "--rounds", "3", "--json", "--", "--x", "1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"prefill": 0.5, "decode": 1.5}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range lines {
		var r ratio
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if w := want[r.Kind]; math.Abs(r.Ratio-w) > 1e-9 || math.Abs(r.Low-w) > 1e-9 || math.Abs(r.High-w) > 1e-9 || r.B/r.A != w {
			t.Errorf("%+v, want the ratio %v", r, w)
		}
	}
	if len(lines) != 2 {
		t.Errorf("%d lines, want 2:\n%s", len(lines), out)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if want := "a first --x 1\nb --x 1\nb --x 1\na first --x 1\na first --x 1\nb --x 1\n"; err != nil || string(calls) != want {
		t.Errorf("ran (%v)\n%s", err, calls)
	}
	out, _, err = command("bench", "compare", a, b, "--rounds", "3", "--", "y")
	if err != nil || !strings.Contains(out, "1.500 to 1.500") {
		t.Errorf("printed (%v)\n%s", err, out)
	}
}

func TestCompareFailures(t *testing.T) {
	dir := t.TempDir()
	good := program(t, dir, "good", `{"kind":"decode","tok_s":5}`)
	other := program(t, dir, "other", `{"kind":"prefill","tok_s":5}`)
	mute := program(t, dir, "mute", "nothing")
	check := func(a, b, want string) {
		t.Helper()
		if _, _, err := command("bench", "compare", a, b, "--", "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s and %s: %v, want %q", a, b, err, want)
		}
	}
	check(good, other, "no work that has the same")
	check(good, mute, "does it need --json")
	check(good, filepath.Join(dir, "none"), "none x failed")
}

// TestRatioInterval: the interval holds the mean, is wide where the rounds differ, and
// covers the true ratio about as often as it says.
func TestRatioInterval(t *testing.T) {
	mean, low, high := ratioInterval([]float64{10, 10, 10, 10}, []float64{20, 40, 10, 20})
	if math.Abs(mean-2) > 1e-9 || !(low >= 1 && low < 1.7) || !(high > 2.4 && high <= 4) {
		t.Errorf("%v, %v to %v", mean, low, high)
	}
	if middle([]float64{3, 1, 2}) != 2 || middle([]float64{4, 1, 2, 3}) != 2.5 {
		t.Error("medians are wrong")
	}
}

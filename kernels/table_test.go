package kernels

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLibraryThatIsMissingLeavesTheReference(t *testing.T) {
	l := Open(1, Options{Path: "testdata/no such library.so"})
	defer l.Close()
	if l.Err() == nil || !strings.Contains(l.Err().Error(), "no such library") {
		t.Errorf("error %v does not name the file", l.Err())
	}
	var text bytes.Buffer
	table, err := l.Select("auto", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil || table != Reference {
		t.Errorf("auto selects %v, %v", table, err)
	}
	if !strings.Contains(text.String(), "level=WARN") || !strings.Contains(text.String(), "table=reference") {
		t.Errorf("the log does not tell: %s", text.String())
	}
	if _, err := l.Select("amx", nil); err == nil || !strings.Contains(err.Error(), "auto or one of reference") {
		t.Errorf("a table that the machine lacks: error %v", err)
	}
}

// A table that fails its self-test is passed over and the log says so.
func TestSelectPassesOverWhatFails(t *testing.T) {
	l := Open(1, Options{})
	defer l.Close()
	if l.Err() != nil {
		t.Skipf("no native tables: %v", l.Err())
	}
	broken := &Table{Name: "broken", id: 99, lib: l}
	if err := broken.SelfTest(); err == nil {
		t.Fatal("a table that the library does not have passes its self-test")
	}
	l.tables = append([]*Table{broken}, l.tables...)
	var text bytes.Buffer
	table, err := l.Select("auto", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil || table != l.tables[1] {
		t.Errorf("auto selects %v, %v", table, err)
	}
	if !strings.Contains(text.String(), "level=WARN") || !strings.Contains(text.String(), "table=broken") {
		t.Errorf("the log does not tell: %s", text.String())
	}
	if _, err := l.Select("broken", nil); err == nil {
		t.Error("a broken table can be selected by name")
	}
}

// Each table proves itself within 50 ms, the reference's part included.
func TestEveryTableProvesItself(t *testing.T) {
	tables := Tables()
	for _, table := range tables {
		start := time.Now()
		if err := table.SelfTest(); err != nil {
			t.Error(err)
		}
		t.Logf("%s: %v", table.Name, time.Since(start))
	}
	if last := tables[len(tables)-1]; last != Reference {
		t.Errorf("the last table is %s", last.Name)
	}
}

// A self-test must fail on wrong numbers: differ is what it judges with.
func TestDifferSeesSmallErrors(t *testing.T) {
	want := []float32{1, -1, 1, -1}
	if err := differ([]float32{1, -1, 1.001, -1}, want, 0.002); err != nil {
		t.Error(err)
	}
	for _, got := range [][]float32{{1, -1, 1.003, -1}, {1, 1, 1, -1}, {1, -1, nan(), -1}} {
		if err := differ(got, want, 0.002); err == nil {
			t.Errorf("%v passes for %v", got, want)
		}
	}
}

func nan() float32 { z := float32(0); return z / z }

func TestMeasureNeedsTheLibrary(t *testing.T) {
	none := Open(1, Options{Path: "testdata/no such library.so"})
	if _, err := none.Measure(1, time.Millisecond); err == nil {
		t.Error("the machine is measured without a library")
	}
	if shared().Err() != nil {
		t.Skipf("no native library: %v", shared().Err())
	}
	p, err := shared().Measure(1, 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", p)
	if p.ReadBytes < 1e8 {
		t.Errorf("%g bytes/s are read", p.ReadBytes)
	}
	if shared().Features().Has("fma") != (p.F32 > 0) {
		t.Errorf("features %v, but %g FLOP/s of f32", shared().Features(), p.F32)
	}
}

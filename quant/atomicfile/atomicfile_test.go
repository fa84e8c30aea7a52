package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// wantFiles fails the test unless dir holds exactly the files with their contents.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := os.ReadFile(path)
			name, _ := filepath.Rel(dir, path)
			got[name] = string(b)
		}
		return nil
	})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, s := range []string{"one", "two, longer"} {
		if err := Write(path, int64(len(s)), text(s)); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, dir, map[string]string{"f": s})
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
}

var errBoom = errors.New("boom")

func TestFailureLeavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Write(path, 0, text("old")); err != nil {
		t.Fatal(err)
	}
	err := Write(path, 0, func(w io.Writer) error { io.WriteString(w, "half"); return errBoom })
	if !errors.Is(err, errBoom) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, dir, map[string]string{"f": "old"})

	err = Write(path, 1<<62, text("new"))
	if err == nil || !strings.Contains(err.Error(), "4611686018427387904 bytes are needed") || !strings.Contains(err.Error(), "free") {
		t.Errorf("too little space gives %v", err)
	}
	wantFiles(t, dir, map[string]string{"f": "old"})

	if err := Write(filepath.Join(dir, "none", "f"), 0, text("x")); err == nil {
		t.Error("a file is written to a folder that is not there")
	}
}

// TestKernelRefuses lets the kernel itself refuse the write half-way, by the limit on
// a file's size.
func TestKernelRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Write(path, 0, text("old")); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := unix.Rlimit{Cur: 1000, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	big := text(strings.Repeat("x", 5000))
	writeErr := Write(path, 0, big)
	dirErr := WriteDir(filepath.Join(dir, "d"), 0, func(d *Dir) error { return d.File("f", big) })
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(writeErr, unix.EFBIG) || !errors.Is(dirErr, unix.EFBIG) {
		t.Errorf("got %v and %v, want EFBIG", writeErr, dirErr)
	}
	wantFiles(t, dir, map[string]string{"f": "old"})
}

func TestSet(t *testing.T) {
	dir := t.TempDir()
	var s Set
	for _, name := range []string{"a", "b"} {
		if err := s.Add(filepath.Join(dir, name), 0, text(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s has its name before Commit", name)
		}
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	s.Abort()
	wantFiles(t, dir, map[string]string{"a": "a", "b": "b"})
	if err := s.Add(filepath.Join(dir, "c"), 0, text("c")); err != nil {
		t.Fatal(err)
	}
	s.Abort()
	wantFiles(t, dir, map[string]string{"a": "a", "b": "b"})
}

func TestWriteDir(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d")
	fill := func(d *Dir) error {
		return errors.Join(d.File("a", text("1")), d.File("sub/b", text("2")))
	}
	fail := func(d *Dir) error { return errors.Join(fill(d), errBoom) }
	if err := WriteDir(path, 0, fail); !errors.Is(err, errBoom) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, dir, map[string]string{})
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(path+"/", 0, fill); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"d/a": "1", "d/sub/b": "2"}
	wantFiles(t, dir, want)
	if err := WriteDir(path, 0, fill); err == nil {
		t.Error("a folder that holds files is replaced")
	}
	if err := WriteDir(filepath.Join(path, "a"), 0, fill); err == nil {
		t.Error("a file is replaced by a folder")
	}
	if err := WriteDir(filepath.Join(dir, "e"), 1<<62, fill); err == nil {
		t.Error("a folder larger than the disk is begun")
	}
	wantFiles(t, dir, want)
}

const killedEnv = "ATOMICFILE_TEST_PATH"

// TestKilled kills a process that keeps rewriting a file: the file is whole after each
// kill.
func TestKilled(t *testing.T) {
	if path := os.Getenv(killedEnv); path != "" {
		for i := 0; ; i++ {
			b := bytes.Repeat([]byte{byte('a' + i%26)}, 200_000)
			if err := Write(path, 0, func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, 0, text(strings.Repeat("z", 200_000))); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 15 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killedEnv+"="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(10+rng.IntN(50))*time.Millisecond, func() { cmd.Process.Kill() })
		if err := cmd.Wait(); err == nil {
			t.Fatal("the writer ended by itself")
		}
		timer.Stop()
		b, err := os.ReadFile(path)
		if err != nil || len(b) != 200_000 || !bytes.Equal(b, bytes.Repeat(b[:1], len(b))) {
			t.Fatalf("after a kill the file has %d bytes (%v), not one writer's", len(b), err)
		}
	}
}

package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestMemoryLimit(t *testing.T) {
	const meminfo = "MemTotal:       8388608 kB\nMemFree: 1 kB\n"
	check := func(want int64, files map[string]string) {
		t.Helper()
		files["proc/meminfo"] = meminfo
		got, err := MemoryLimit(writeTree(t, files))
		if err != nil || got != want {
			t.Errorf("limit of %v is %d (%v), want %d", files, got, err, want)
		}
	}
	check(8<<30, map[string]string{})
	check(1<<30, map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "max\n"})
	check(2<<30, map[string]string{"proc/self/cgroup": "5:memory:/x\n4:cpu:/y\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2147483648"})
	check(8<<30, map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "9223372036854771712"})
	if _, err := MemoryLimit(t.TempDir()); err == nil {
		t.Error("a machine without meminfo gave no error")
	}
}

func TestPlanMemory(t *testing.T) {
	p := MemoryPlan{Limit: 1 << 30, Weights: 256 << 20, Activation: 64 << 20, Block: 1 << 20}
	got, err := planMemory(p, 10, 100)
	if err != nil || got.Blocks != 100 {
		t.Fatalf("plan %+v (%v), want the 100 blocks asked for", got, err)
	}
	got, err = planMemory(p, 10, 1<<20)
	if err != nil || got.Total() > p.Limit/10*9 || got.Total() < p.Limit/10*9-2*p.Block {
		t.Fatalf("a greedy plan takes %d of %d (%v)", got.Total(), p.Limit, err)
	}
	_, err = planMemory(p, 10_000, 10_000)
	if err == nil || !strings.Contains(err.Error(), "does not fit") || !strings.Contains(err.Error(), "256.0 MiB") {
		t.Fatalf("a plan that cannot be gave %v, want the arithmetic", err)
	}
}

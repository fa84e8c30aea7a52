package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/ingot-llm/ingot/engine"
)

// machine is what the system tells about itself. Fields that it does not tell are zero.
type machine struct {
	CPU         string   `json:"cpu"`
	Features    []string `json:"cpu_features"` // of those that kernels use, as the system lists them
	Processors  int      `json:"processors"`   // that this process may run on
	Threads     int      `json:"threads"`      // that Go, and so Ingot, uses: GOMAXPROCS
	Load        float64  `json:"load"`         // processes that wanted to run, mean of the last minute
	Memory      int64    `json:"memory_bytes"`
	Available   int64    `json:"memory_available_bytes"`
	MemoryLimit int64    `json:"memory_limit_bytes,omitzero"` // of the cgroup, if it is below Memory
	HugePages   string   `json:"transparent_huge_pages"`      // "always", "madvise" or "never"
	Governor    string   `json:"frequency_governor,omitzero"`
	Nodes       int      `json:"memory_nodes"`
}

// usable returns the bytes of memory that this process may use; 0 where that is unknown.
func (m *machine) usable() int64 {
	if m.MemoryLimit > 0 {
		return m.MemoryLimit
	}
	return m.Memory
}

// readMachine reads the system's files under root, which is "/" but in tests.
func readMachine(root string) *machine {
	m := &machine{Processors: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0)}
	cpu := table(readText(root, "proc/cpuinfo"), ":")
	m.CPU, m.Features = engine.Processor(root), kernelFeatures(cpu["flags"])
	memory := table(readText(root, "proc/meminfo"), ":")
	m.Memory, m.Available = kibibytes(memory["MemTotal"]), kibibytes(memory["MemAvailable"])
	if n, err := engine.MemoryLimit(root); err == nil && n < m.Memory {
		m.MemoryLimit = n
	}
	if fields := strings.Fields(readText(root, "proc/loadavg")); len(fields) > 0 {
		m.Load, _ = strconv.ParseFloat(fields[0], 64)
	}
	m.HugePages = bracketed(readText(root, "sys/kernel/mm/transparent_hugepage/enabled"))
	m.Governor = strings.TrimSpace(readText(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
	nodes, _ := filepath.Glob(filepath.Join(root, "sys/devices/system/node/node[0-9]*"))
	m.Nodes = max(len(nodes), 1)
	return m
}

// residentBytes returns the memory that this process holds, files' pages included.
func residentBytes(root string) int64 {
	return kibibytes(table(readText(root, "proc/self/status"), ":")["VmRSS"])
}

// readText returns a file's text, "" where there is none: a machine need not tell.
func readText(root, path string) string {
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return ""
	}
	return string(text)
}

// table reads lines of name, separator and value; the first of a name counts.
func table(text, sep string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(line, sep)
		if _, seen := out[strings.TrimSpace(name)]; found && !seen {
			out[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return out
}

// kibibytes reads "123 kB" as bytes.
func kibibytes(value string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	return n << 10
}

// bracketed returns the chosen one of "always [madvise] never".
func bracketed(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	chosen, _, _ := strings.Cut(rest, "]")
	return chosen
}

// kernelFeatures picks the flags of /proc/cpuinfo that kernels use.
func kernelFeatures(flags string) []string {
	has := map[string]bool{}
	for _, f := range strings.Fields(flags) {
		has[f] = true
	}
	var out []string
	for _, f := range []string{"avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"} {
		if has[f] {
			out = append(out, f)
		}
	}
	return out
}

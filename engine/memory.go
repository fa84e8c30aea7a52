package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryPlan is how the machine's memory is shared out before anything is allocated.
// All figures are bytes.
type MemoryPlan struct {
	Limit      int64 // what this process may use: the machine's, the cgroup's or the flag's
	Weights    int64 // mapped from the file or made from it
	Activation int64 // the program's buffers
	Host       int64 // Go heap, tokenizer, streams
	Block      int64 // one KV block over all layers
	Blocks     int   // KV blocks
}

// hostReserve is kept for the Go heap, the tokenizer and the streams.
const hostReserve = 150 << 20

// Total returns the bytes of the whole plan.
func (p MemoryPlan) Total() int64 {
	return p.Weights + p.Activation + p.Host + p.Block*int64(p.Blocks)
}

// planMemory gives the KV cache what is left under nine tenths of the limit, at most
// want blocks and at least need; if that cannot be, the error shows the arithmetic.
func planMemory(p MemoryPlan, need, want int) (MemoryPlan, error) {
	p.Host = hostReserve
	usable := p.Limit / 10 * 9
	left := usable - p.Weights - p.Activation - p.Host
	p.Blocks = int(min(int64(want), max(left, 0)/p.Block))
	if p.Blocks < need {
		return p, fmt.Errorf("the model does not fit: weights %s + buffers %s + program %s + a KV cache of at least %s (%d blocks of %s) = %s, but 90 %% of the %s limit is %s: use a smaller type, a shorter --context or fewer --max-batch-tokens",
			Size(p.Weights), Size(p.Activation), Size(p.Host), Size(int64(need)*p.Block), need, Size(p.Block),
			Size(p.Weights+p.Activation+p.Host+int64(need)*p.Block), Size(p.Limit), Size(usable))
	}
	return p, nil
}

// String shows the plan as one line.
func (p MemoryPlan) String() string {
	return fmt.Sprintf("weights %s + buffers %s + program %s + KV cache %s (%d blocks) = %s of %s",
		Size(p.Weights), Size(p.Activation), Size(p.Host), Size(p.Block*int64(p.Blocks)), p.Blocks, Size(p.Total()), Size(p.Limit))
}

// Size prints a number of bytes for people, in powers of 1024.
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
}

// MemoryLimit returns the bytes that this process may use: the machine's memory or, where
// it is lower, the limit of one of the cgroups (v2 or v1) that it lives in. root is "/".
func MemoryLimit(root string) (int64, error) {
	limit, err := machineMemory(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0, err
	}
	for _, path := range cgroupLimits(root) {
		if n, ok := readLimit(path); ok {
			limit = min(limit, n)
		}
	}
	return limit, nil
}

func machineMemory(meminfo string) (int64, error) {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, fmt.Errorf("cannot tell this machine's memory: %w (set --memory)", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("cannot tell this machine's memory: %s has no MemTotal (set --memory)", meminfo)
}

// cgroupLimits lists the files that may hold a limit: the process's own group and all
// groups above it.
func cgroupLimits(root string) []string {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		if parts[1] == "memory" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for group := filepath.Clean("/" + parts[2]); ; group = filepath.Dir(group) {
			out = append(out, filepath.Join(root, base, group, file))
			if group == "/" {
				break
			}
		}
	}
	return out
}

func readLimit(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}

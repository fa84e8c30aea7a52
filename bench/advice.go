package bench

import (
	"fmt"
	"slices"
)

// advise says what would make this machine faster, most effective first.
func (d *diagnosis) advise() []string {
	out := []string{}
	m := d.Machine
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(d.Library != "", "Build with a C compiler (gcc and make build): without the native kernels everything runs in plain Go, some hundred times slower.")
	say(m.busy(), "Other programs are at work (load %.1f on %d processors): stop them, or expect less than what was measured.", m.Load, m.Processors)
	say(m.Threads < m.Processors, "Ingot uses %d of %d processors because of GOMAXPROCS or the container's CPU quota: raise it.", m.Threads, m.Processors)
	say(m.HugePages == "never", "Turn on transparent huge pages, which read memory some 10 %% faster: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as root).")
	say(m.Governor == "powersave", "Set the frequency governor to performance: echo performance > /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor (as root).")
	say(m.Nodes > 1, "This machine has %d memory nodes: one Ingot on each, bound with numactl --cpunodebind and --membind, reads local memory only.", m.Nodes)
	say(!slices.Contains(m.Features, "avx512_vnni") && !slices.Contains(m.Features, "avx_vnni"), "A processor with VNNI (AMD since Zen 4, Intel server since Ice Lake) reads prompts several times faster.")
	say(d.crowded(), "One thread reads memory nearly as fast as all %d: decoding gains little from more threads.", m.Threads)
	if d.All != nil {
		say(true, "Decoding is bound by memory: a model of 1 GB gives at most %.0f tokens/s to one reader here. Smaller types (Q4_K_M) and batches of several requests raise that.", d.All.ReadGBs)
	}
	return out
}

// busy reports whether other programs use a good part of the processors.
func (m *machine) busy() bool { return m.Load > float64(m.Processors)/2 }

// crowded reports whether more threads do not read memory faster, as far as a machine
// that is busy can tell.
func (d *diagnosis) crowded() bool {
	return d.All != nil && !d.Machine.busy() && d.All.Threads > 1 && d.All.ReadGBs < 1.2*d.Single.ReadGBs
}

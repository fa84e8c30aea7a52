package kernels

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/ingot-llm/ingot/quant"
)

// Table is one implementation of all operations. It is constant and safe for
// concurrent use; each Runner of it is one goroutine's.
type Table struct {
	Name string
	id   int32    // INGOT_TABLE_*
	lib  *Library // nil for the reference
}

// Reference is the table in pure Go: the specification of every operation, the oracle
// of the others, and what runs where the library does not.
var Reference = &Table{Name: "reference", id: -1}

// tableNames are the library's tables by INGOT_TABLE_*, slowest first.
var tableNames = [...]string{"generic", "avx2", "avx512", "avx512_bf16", "amx"}

// Prefers returns the form of activations with which the table serves block-quantized
// weights best: int8, since decoding then runs at the memory's speed (on AMX bf16 reads a
// prompt twice as fast, but decodes at a quarter of it); bf16 for the reference.
func (t *Table) Prefers() Activations {
	if t.lib == nil {
		return ActBF16
	}
	return ActInt8
}

// packBytes returns the bytes that rows rows of cols packed activations take.
func (t *Table) packBytes(rows, cols int, d quant.DType) int {
	if t.lib == nil {
		return rows * packedRow(cols, d)
	}
	args := packSizeArgs{rows: int64(rows), cols: int64(cols), dtype: d, table: t.id}
	if err := callOnce(t.lib.packSize, &args); err != nil {
		panic(fmt.Sprintf("BUG: kernels %s: size of %d x %d %s: %v", t.Name, rows, cols, typeName(d), err))
	}
	return int(args.bytes)
}

// nativeTypes are the types of weights that every native table takes.
var nativeTypes = []quant.DType{
	quant.F32, quant.F16, quant.BF16, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0,
	quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ2_XXS, quant.IQ2_XS,
	quant.IQ3_XXS, quant.IQ1_S, quant.IQ4_NL, quant.IQ3_S, quant.IQ2_S, quant.IQ4_XS, quant.IQ1_M,
	quant.TQ1_0, quant.TQ2_0, quant.MXFP4,
}

// Library is the native library with its own pool of threads. It is safe for concurrent
// use: Runners on one library take turns. Where the library could not be loaded it has
// the reference table only.
type Library struct {
	symbols
	running  sync.Mutex // the pool serves one call at a time
	args     *Buf       // of such calls: native memory, see pooledOnce
	handle   uintptr
	features Features
	threads  int
	tables   []*Table
	err      error
}

// Options of Open.
type Options struct {
	Nice int    // added to the niceness of the library's threads
	Path string // of a library to use in place of INGOT_KERNELS and the embedded one
}

// Open loads the library, from o.Path, or the file that INGOT_KERNELS names, or the
// embedded copy, and starts a pool of threads threads, the caller's included; 0 takes
// GOMAXPROCS. It does not fail: Err says why a library has no native tables.
func Open(threads int, o Options) *Library {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	l := &Library{threads: threads}
	l.err = l.open(o)
	l.tables = append(l.tables, Reference)
	return l
}

func (l *Library) open(o Options) (err error) {
	if l.symbols, err = load(o.Path); err != nil {
		return err
	}
	args := openArgs{abi: abi, threads: int32(l.threads), nice: int32(o.Nice)}
	if err := callOnce(l.symbols.open, &args); err != nil {
		return fmt.Errorf("cannot start the native library: %w", err)
	}
	l.handle, l.features = args.lib, Features(args.features)
	if l.args, err = NewBuf(argsBytes); err != nil {
		return err
	}
	for id, name := range slices.Backward(tableNames[:]) {
		if args.tables>>id&1 != 0 {
			l.tables = append(l.tables, &Table{Name: name, id: int32(id), lib: l})
		}
	}
	return nil
}

// pooled runs a C function that uses the library's threads.
func (l *Library) pooled(fn uintptr, arg unsafe.Pointer) int32 {
	l.running.Lock()
	defer l.running.Unlock()
	return call(fn, arg)
}

// Close ends the library's threads. No Runner of its tables may be left.
func (l *Library) Close() {
	if l.handle != 0 {
		call(l.symbols.close, *(*unsafe.Pointer)(unsafe.Pointer(&l.handle)))
		l.handle = 0
		if l.args != nil {
			l.args.Free()
			l.args = nil
		}
	}
}

// Err returns why there are no native tables, or nil where there are.
func (l *Library) Err() error { return l.err }

// Threads returns the number of threads that run an operation.
func (l *Library) Threads() int { return l.threads }

// Features returns what the library found in the processor.
func (l *Library) Features() Features { return l.features }

// Tables returns those that this machine can run, best first; Reference is the last.
func (l *Library) Tables() []*Table { return l.tables }

// Select returns the table called name once it has proved itself (SelfTest), or for
// "auto" the best one that does. log, which may be nil, is told which one it is, and
// of every table that was passed over and why.
func (l *Library) Select(name string, log *slog.Logger) (*Table, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if l.err != nil {
		log.Warn("no native kernels: running on the reference table, which is slow", "reason", l.err)
	}
	if name != "auto" && !slices.Contains(l.names(), name) {
		return nil, fmt.Errorf("no kernel table %q on this machine: use auto or one of %s", name, strings.Join(l.names(), ", "))
	}
	var failures []error
	for _, t := range l.tables {
		if name != "auto" && name != t.Name {
			continue
		}
		err := t.SelfTest()
		if err == nil {
			log.Info("kernel table chosen", "table", t.Name, "features", l.features.String(), "threads", l.threads)
			return t, nil
		}
		log.Warn("kernel table failed its self-test", "table", t.Name, "error", err)
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (l *Library) names() []string {
	var names []string
	for _, t := range l.tables {
		names = append(names, t.Name)
	}
	return names
}

var shared = sync.OnceValue(func() *Library { return Open(0, Options{}) })

// Tables returns the tables of a library shared by the process, with GOMAXPROCS
// threads, best first; Reference is the last.
func Tables() []*Table { return shared().Tables() }

// Select is Library.Select on the library of Tables.
func Select(name string, log *slog.Logger) (*Table, error) { return shared().Select(name, log) }

// Features are the instruction sets that kernels use, as the library found them
// (INGOT_FEATURE_* in csrc/ingot.h).
type Features uint64

var featureNames = [...]string{
	"avx2", "fma", "f16c", "avx512", "vnni", "bf16", "amx_tile", "amx_bf16", "amx_int8", "avx_vnni", "avx512_fp16",
}

// String lists the features' names, separated by spaces.
func (f Features) String() string {
	var names []string
	for bit, name := range featureNames {
		if f>>bit&1 != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// Has reports whether the processor has the feature of a name that String gives.
func (f Features) Has(name string) bool {
	bit := slices.Index(featureNames[:], name)
	return bit >= 0 && f>>bit&1 != 0
}

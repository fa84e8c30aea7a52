package kernels

import (
	"errors"
	"runtime"
	"time"
)

// Peaks are the limits of the machine as small loops measure them, for all threads
// together; a peak is 0 where the processor lacks the instruction.
type Peaks struct {
	ReadBytes float64 // bytes read from memory per second
	F32       float64 // FLOP/s of f32 fused multiply-add
	BF16      float64 // FLOP/s of vdpbf16ps
	Int8      float64 // operations/s of vpdpbusd
	AMXBF16   float64 // FLOP/s of bf16 tiles
	AMXInt8   float64 // operations/s of int8 tiles
}

// peakBytes is what the memory figure reads over and over: more than the last
// cache of most processors holds.
const peakBytes = 256 << 20

// Measure measures the machine's peaks with the given threads, at most Threads,
// spending each on every figure. It needs 256 MiB of memory for that time.
func (l *Library) Measure(threads int, each time.Duration) (Peaks, error) {
	if l.handle == 0 {
		return Peaks{}, errors.New("cannot measure the machine without the native library")
	}
	buf, err := NewBuf(peakBytes)
	if err != nil {
		return Peaks{}, err
	}
	defer buf.Free()
	for i := 0; i < peakBytes; i += 4096 {
		buf.Bytes()[i] = 1 // so that every page is a page of its own, not the shared zero page
	}
	a := limitsArgs{
		lib: l.handle, buffer: address(buf.Bytes()), bytes: peakBytes,
		threads: int32(min(max(threads, 1), l.threads)), millis: int32(each.Milliseconds()),
	}
	if err := l.measure(&a); err != nil {
		return Peaks{}, err
	}
	return Peaks{a.readBytesS, a.f32Flops, a.bf16Flops, a.int8Ops, a.amxBf16Flops, a.amxInt8Ops}, nil
}

// ReadRate returns the bytes that all threads together read of mem in a second, going
// through it for the time each. What memory gives differs from place to place on a
// virtual machine, so a limit of reading the weights is best taken on them. mem is
// native memory of at least a MiB for each thread.
func (l *Library) ReadRate(mem []byte, each time.Duration) (float64, error) {
	if l.handle == 0 {
		return 0, errors.New("cannot measure the machine without the native library")
	}
	a := limitsArgs{
		lib: l.handle, buffer: address(mem), bytes: int64(len(mem)),
		threads: int32(l.threads), millis: int32(each.Milliseconds()), onlyRead: 1,
	}
	err := l.measure(&a)
	runtime.KeepAlive(mem)
	return a.readBytesS, err
}

func (l *Library) measure(a *limitsArgs) error {
	l.running.Lock()
	defer l.running.Unlock()
	return callOnce(l.limits, a)
}

package kernels

import (
	"errors"
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
	l.running.Lock()
	defer l.running.Unlock()
	if err := callOnce(l.limits, &a); err != nil {
		return Peaks{}, err
	}
	return Peaks{a.readBytesS, a.f32Flops, a.bf16Flops, a.int8Ops, a.amxBf16Flops, a.amxInt8Ops}, nil
}

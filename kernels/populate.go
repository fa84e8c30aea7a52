package kernels

import (
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// populateAhead is how many blocks beyond those in use have their pages, 4096 tokens.
const populateAhead = 256

// populateStep is how many blocks get theirs at a time.
const populateStep = 16

// populator has the system give pages to the caches before a step writes to them. Blocks
// are handed out in order and a block lies in every layer's cache, so that without it one
// step in many waits for a page in each of them: 280 ms for 60 caches on a virtual
// machine that gives 2 MiB pages at 0.4 GB/s. It works beside the steps, and takes no
// more memory than they are about to.
type populator struct {
	caches []cacheRows
	blocks int
	want   atomic.Int64  // blocks that should have pages
	have   atomic.Int64  // blocks that do
	wake   chan struct{} // of one: want has grown
	done   sync.WaitGroup
}

// cacheRows is a cache of one layer: a block is stride bytes.
type cacheRows struct {
	data   []byte
	stride int
}

// blocks returns the memory of blocks from ... to-1.
func (c cacheRows) blocks(from, to int) []byte { return c.data[from*c.stride : to*c.stride] }

func newPopulator(caches []cacheRows, blocks int) *populator {
	p := &populator{caches: caches, blocks: blocks, wake: make(chan struct{}, 1)}
	p.done.Go(p.loop)
	p.reach(0)
	return p
}

// reach notes that blocks below used are in use. It does not wait.
func (p *populator) reach(used int) {
	want := int64(min(used+populateAhead, p.blocks))
	if want <= p.want.Load() {
		return
	}
	p.want.Store(want)
	select {
	case p.wake <- struct{}{}:
	default: // it has been woken and has not looked yet
	}
}

// close waits until no page is asked for. No reach may follow.
func (p *populator) close() {
	p.want.Store(0)
	close(p.wake)
	p.done.Wait()
}

func (p *populator) loop() {
	for range p.wake {
		for p.have.Load() < p.want.Load() {
			from := int(p.have.Load())
			to := min(from+populateStep, p.blocks)
			for _, c := range p.caches {
				populate(c.blocks(from, to))
			}
			p.have.Store(int64(to))
		}
	}
}

// populate gives pages to b, which begins and ends anywhere in a Buf. A system that knows
// no MADV_POPULATE_WRITE (Linux before 5.14) gives them when they are written.
func populate(b []byte) {
	if len(b) == 0 {
		return
	}
	first := unsafe.Pointer(unsafe.SliceData(b))
	before := int(uintptr(first) % uintptr(os.Getpagesize()))
	pages := unsafe.Slice((*byte)(unsafe.Add(first, -before)), before+len(b))
	_ = unix.Madvise(pages, unix.MADV_POPULATE_WRITE)
}

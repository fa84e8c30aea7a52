package kernels

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident counts the pages of b that are in memory.
func resident(t *testing.T, b []byte) (n int) {
	t.Helper()
	const page = 4096
	state := make([]byte, (len(b)+page-1)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, address(b), uintptr(len(b)), uintptr(unsafe.Pointer(&state[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, s := range state {
		n += int(s & 1)
	}
	return n
}

// TestPopulatorKeepsAhead: pages come for the blocks in use and some more, whatever is
// asked for twice, and never beyond the caches' end.
func TestPopulatorKeepsAhead(t *testing.T) {
	const stride, blocks = 1000, 3000 // a block ends within a page
	buf, err := NewBuf(stride * blocks)
	if err != nil {
		t.Fatal(err)
	}
	defer buf.Free()
	if err := unix.Madvise(buf.Bytes(), unix.MADV_NOHUGEPAGE); err != nil {
		t.Fatal(err)
	}
	buf.Bytes()[0] = 7
	p := newPopulator([]cacheRows{{buf.Bytes(), stride}}, blocks)
	wait := func(have int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); p.have.Load() < int64(have); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("pages for %d blocks, want %d", p.have.Load(), have)
			}
		}
	}
	if err := unix.Madvise(buf.Bytes()[:4096], unix.MADV_POPULATE_WRITE); err != nil {
		t.Skipf("this system populates no pages: %v", err)
	}
	wait(populateAhead)
	if n := resident(t, buf.Bytes()); n < populateAhead*stride/4096 || n > (populateAhead+populateStep)*stride/4096+2 {
		t.Errorf("%d pages at first", n)
	}
	p.reach(1000)
	p.reach(5)
	wait(1000 + populateAhead)
	p.reach(blocks)
	wait(blocks)
	if n, all := resident(t, buf.Bytes()), (stride*blocks+4095)/4096; n != all {
		t.Errorf("%d of %d pages at last", n, all)
	}
	p.close()
	if buf.Bytes()[0] != 7 {
		t.Error("what was written is gone")
	}
}

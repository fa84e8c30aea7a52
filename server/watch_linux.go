package server

import (
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher notices clients that leave while their request is worked on. fasthttp does not
// tell, and a write fails only with the next token or the one after; EPOLLRDHUP comes
// with the client's FIN or RST, with plain TCP and TLS alike. A half-closed connection
// counts as left, as in net/http.
type watcher struct {
	epoll int
	wake  int // eventfd that ends the loop
	done  chan struct{}

	mu    sync.Mutex
	next  uint64
	gone  map[uint64]func() // by the number that epoll gives back
	ended bool
}

func newWatcher() (*watcher, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot watch connections: epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("cannot watch connections: eventfd: %w", err)
	}
	w := &watcher{epoll: epoll, wake: wake, done: make(chan struct{}), gone: map[uint64]func(){}}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, event(unix.EPOLLIN, 0)); err != nil {
		unix.Close(epoll)
		unix.Close(wake)
		return nil, fmt.Errorf("cannot watch connections: epoll_ctl: %w", err)
	}
	go w.loop()
	return w, nil
}

// event packs a number into epoll's 64 bits of user data.
func event(events uint32, number uint64) *unix.EpollEvent {
	return &unix.EpollEvent{Events: events, Fd: int32(uint32(number)), Pad: int32(uint32(number >> 32))}
}

// add calls gone, at most once, when the peer of c leaves. The returned function ends
// the watch; it must be called before c is closed. A connection without a socket is not
// watched.
func (w *watcher) add(c net.Conn, gone func()) (stop func()) {
	raw := rawConn(c)
	if raw == nil {
		return func() {}
	}
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		return func() {}
	}
	w.next++
	number := w.next
	w.gone[number] = gone
	w.mu.Unlock()
	w.control(raw, unix.EPOLL_CTL_ADD, event(unix.EPOLLRDHUP|unix.EPOLLONESHOT, number))
	return func() {
		w.mu.Lock()
		delete(w.gone, number)
		w.mu.Unlock()
		w.control(raw, unix.EPOLL_CTL_DEL, event(0, 0))
	}
}

// control changes epoll's set while the socket cannot be closed. An error means that it
// is closed already, which the next read or write will tell.
func (w *watcher) control(raw interface{ Control(func(uintptr)) error }, op int, ev *unix.EpollEvent) {
	_ = raw.Control(func(fd uintptr) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.ended {
			_ = unix.EpollCtl(w.epoll, op, int(fd), ev)
		}
	})
}

func (w *watcher) loop() {
	defer close(w.done)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			panic("BUG: epoll_wait: " + err.Error())
		}
		for _, ev := range events[:max(n, 0)] {
			number := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
			if number == 0 {
				return
			}
			if gone := w.take(number); gone != nil {
				gone()
			}
		}
	}
}

func (w *watcher) take(number uint64) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := w.gone[number]
	delete(w.gone, number)
	return gone
}

// close ends the loop and waits for it. It may be called more than once.
func (w *watcher) close() {
	w.mu.Lock()
	first := !w.ended
	w.ended = true
	w.mu.Unlock()
	if !first {
		return
	}
	if _, err := unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		panic("BUG: eventfd write: " + err.Error())
	}
	<-w.done
	unix.Close(w.epoll)
	unix.Close(w.wake)
}

package server

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// cappedListener closes connections beyond a number for each address.
type cappedListener struct {
	net.Listener
	limit int
	mu    sync.Mutex
	open  map[string]int // by address
}

func newCappedListener(ln net.Listener, perIP int) *cappedListener {
	return &cappedListener{Listener: ln, limit: perIP, open: map[string]int{}}
}

// Accept implements net.Listener.
func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.RemoteAddr().(*net.TCPAddr)
		if !ok {
			return c, nil
		}
		ip := tcp.IP.String()
		if l.take(ip) {
			return &cappedConn{Conn: c, release: sync.OnceFunc(func() { l.release(ip) })}, nil
		}
		c.Close()
	}
}

func (l *cappedListener) take(ip string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[ip] >= l.limit {
		return false
	}
	l.open[ip]++
	return true
}

func (l *cappedListener) release(ip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[ip]--; l.open[ip] == 0 {
		delete(l.open, ip)
	}
}

// cappedConn gives its place back when it is closed.
type cappedConn struct {
	net.Conn
	release func()
	unread  atomic.Bool // the client still sends what was refused
}

// Close implements net.Conn.
func (c *cappedConn) Close() error {
	defer c.release()
	if c.unread.Load() {
		c.drain()
	}
	return c.Conn.Close()
}

// drain takes in what the client still sends, for a while: a socket that is closed with
// unread data is reset, and the client would lose the answer that says why.
func (c *cappedConn) drain() {
	const longest, most = 2 * time.Second, 64 << 20
	if half, ok := c.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(longest)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, most)
	}
}

// keepAnswer has a connection that is about to be closed let its client finish sending.
func keepAnswer(c net.Conn) {
	for {
		if capped, ok := c.(*cappedConn); ok {
			capped.unread.Store(true)
			return
		}
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		c = layer.NetConn()
	}
}

// NetConn returns the connection below, as tls.Conn does.
func (c *cappedConn) NetConn() net.Conn { return c.Conn }

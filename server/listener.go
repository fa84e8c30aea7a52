package server

import (
	"net"
	"sync"
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
}

// Close implements net.Conn.
func (c *cappedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// NetConn returns the connection below, as tls.Conn does.
func (c *cappedConn) NetConn() net.Conn { return c.Conn }

package server

import (
	"context"
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// unused knows the connections on which nothing has been asked yet: browsers and client
// libraries open some in advance. fasthttp waits for those at its end as for a request.
type unused struct {
	conns sync.Map        // net.Conn: nil
	ended context.Context // once done, new connections are closed at once
}

// track is the fasthttp server's ConnState.
func (u *unused) track(c net.Conn, state fasthttp.ConnState) {
	if state != fasthttp.StateNew {
		u.conns.Delete(c)
		return
	}
	u.conns.Store(c, nil)
	if u.ended.Err() != nil {
		c.Close()
	}
}

// close closes them.
func (u *unused) close() {
	for c := range u.conns.Range {
		c.(net.Conn).Close()
	}
}

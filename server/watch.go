package server

import (
	"net"
	"syscall"
)

// rawConn returns the socket under a connection and its layers (TLS, cappedConn), or nil
// if there is none.
func rawConn(c net.Conn) syscall.RawConn {
	for {
		if layer, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = layer.NetConn()
			continue
		}
		socket, ok := c.(syscall.Conn)
		if !ok {
			return nil
		}
		raw, err := socket.SyscallConn()
		if err != nil {
			return nil
		}
		return raw
	}
}

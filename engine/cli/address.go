package cli

import (
	"fmt"
	"net"
	"strings"
)

// IsLoopback tells whether only this machine can reach an address, "host:port". A name
// other than localhost is not loopback, whatever it resolves to: that may change.
func IsLoopback(listen string) (bool, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false, fmt.Errorf("listen address %q is not host:port: %w", listen, err)
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), nil
}

// HostOnly drops a port and the brackets of an IPv6 address.
func HostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.ToLower(strings.Trim(hostport, "[]"))
}

// LoopbackHosts are the names by which programs of this machine reach a loopback address.
// A server there refuses requests for others: a web page can point its own name at
// 127.0.0.1 (DNS rebinding).
func LoopbackHosts(listen string) []string {
	return []string{"localhost", "127.0.0.1", "::1", HostOnly(listen)}
}

package load

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkDriver measures how many requests a second of one core's time the driver
// makes, against a server that costs next to nothing: it answers what it has ready.
// The time is the process's, server included, so other programs do not matter.
func BenchmarkDriver(b *testing.B) {
	cfg := Config{URL: trivialServer(b), Clients: 16, Duration: time.Hour, Requests: b.N, Timeout: time.Minute,
		Next: Mix{Prompt: Fixed(16), Output: Fixed(2)}.Request}
	before := processTime(b)
	r, err := Run(b.Context(), cfg)
	if err != nil || r.Completed != b.N {
		b.Fatalf("%d of %d completed: %v, %v", r.Completed, b.N, err, r.Errors)
	}
	b.ReportMetric(float64(b.N)/(processTime(b)-before).Seconds(), "requests/core-s")
}

// processTime returns the processor time that this process has used.
func processTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// trivialServer answers every request with the same two tokens; it returns its URL.
func trivialServer(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	const events = "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"index\":0,\"text\":\"b\"}]}\n\n" +
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
		hex(len(events)) + "\r\n" + events + "\r\n0\r\n\r\n")
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answerAll(conn, answer)
		}
	}()
	return "http://" + ln.Addr().String()
}

func hex(n int) string {
	const digits = "0123456789abcdef"
	var out []byte
	for ; n > 0; n /= 16 {
		out = append([]byte{digits[n%16]}, out...)
	}
	return string(out)
}

// answerAll reads requests by their Content-Length and answers each.
func answerAll(conn net.Conn, answer []byte) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		length := int64(0)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			if value, found := strings.CutPrefix(strings.ToLower(line), "content-length: "); found {
				for _, d := range strings.TrimSpace(value) {
					length = 10*length + int64(d-'0')
				}
			}
		}
		if _, err := io.CopyN(io.Discard, in, length); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

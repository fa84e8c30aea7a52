package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// client sends requests; safe for concurrent use.
type client struct {
	cfg  *Config
	http *http.Client
	seen *recorder
}

// errLeft: the client left on purpose.
var errLeft = errors.New("the client left")

// send makes a request, and those that follow it in its conversation; false if one
// failed.
func (c *client) send(ctx context.Context, a arrival) bool {
	req, due := c.cfg.Next(a.n), a.at
	for turn := uint64(0); ; turn++ {
		t := track{recorder: c.seen, due: due, leaveAt: c.leaveAt(uint64(a.n)<<16|turn, req.MaxTokens), keep: req.Then != nil}
		err := c.request(ctx, req, &t)
		if err != nil {
			return errors.Is(err, errLeft)
		}
		due = time.Now().Add(req.Think)
		if req.Then == nil || !due.Before(c.seen.until) || !sleepUntil(ctx, due) {
			return true
		}
		req = req.Then(t.answer.String())
	}
}

// request makes one request and records it.
func (c *client) request(ctx context.Context, r Request, t *track) error {
	call, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	c.seen.begin()
	err := c.stream(call, r, t)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.seen.end(t, err)
	return err
}

// leaveAt returns after how many chunks of text the client of request number key leaves,
// -1 for never. 0 is before the first one.
func (c *client) leaveAt(key uint64, maxTokens int) int {
	random := rand.New(rand.NewPCG(c.cfg.Seed, key))
	if random.Float64() >= c.cfg.Cancel {
		return -1
	}
	return random.IntN(maxTokens/2 + 1)
}

// stream sends a request and reads its answer to the end.
func (c *client) stream(ctx context.Context, r Request, t *track) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return failure{"request", err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	if c.cfg.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return failure{kindOf(err, "connection"), err}
	}
	// Closed before its end, an answer's connection is cut, which tells the server.
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 512))
		return failure{fmt.Sprintf("status %d", answer.StatusCode), errors.New(string(text))}
	}
	if err := readAnswer(answer.Body, t); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body) // to its end, so that the connection serves again
	return err
}

// readAnswer reads events until [DONE].
func readAnswer(body io.Reader, t *track) error {
	events := newEvents(body)
	for {
		if t.leaves() {
			return errLeft
		}
		data, err := events.next()
		switch {
		case errors.Is(err, io.EOF):
			return failure{"truncated", errors.New("the stream ended without [DONE]")}
		case errors.Is(err, errLongEvent):
			return failure{"not understood", err}
		case err != nil:
			return failure{kindOf(err, "connection"), err}
		case string(data) == "[DONE]":
			return nil
		}
		c, err := parseChunk(data)
		if err != nil {
			return err
		}
		t.chunk(&c, time.Now())
	}
}

// failure is an error with the kind under which it is counted.
type failure struct {
	kind string
	err  error
}

func (f failure) Error() string { return f.kind + ": " + f.err.Error() }

// kindOf tells timeouts from other errors.
func kindOf(err error, other string) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	return other
}

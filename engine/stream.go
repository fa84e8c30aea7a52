package engine

import (
	"context"
	"io"
	"sync"
)

// Stream carries a request's events from the engine's loop to one reader. Pushing
// never blocks: the queue grows by at most the request's own tokens, and Backlog tells
// the loop when to stop computing for a reader that does not keep up.
type Stream struct {
	mu      sync.Mutex
	queue   []Event
	backlog int // bytes of text and tokens in queue
	open    int // sequences without a finish yet
	usage   Usage
	timing  Timing
	prompt  []Token
	wake    chan struct{} // cap 1: something to read
	cancel  func()        // tells the engine, at most once
	closed  bool
}

// NewStream returns the stream of a request of n sequences. cancel is called at most
// once, when the reader closes the stream before its end.
func NewStream(n int, cancel func()) *Stream {
	return &Stream{open: n, wake: make(chan struct{}, 1), cancel: cancel}
}

// Next returns the next event, waiting for one as long as ctx lives. After the last
// sequence's finish it returns io.EOF. One goroutine reads.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	for {
		if ev, ok, end := s.take(); ok {
			return ev, nil
		} else if end {
			return Event{}, io.EOF
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

func (s *Stream) take() (ev Event, ok, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return Event{}, false, s.open == 0 || s.closed
	}
	ev = s.queue[0]
	s.queue = s.queue[1:]
	s.backlog -= eventBytes(ev)
	return ev, true, false
}

// Push appends an event. It never blocks; after Close it drops the event.
func (s *Stream) Push(ev Event) {
	s.mu.Lock()
	if !s.closed {
		s.queue = append(s.queue, ev)
		s.backlog += eventBytes(ev)
	}
	if ev.Finish != FinishNone {
		s.open--
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// eventBytes is what an event weighs against a stream's buffer.
func eventBytes(ev Event) int { return 64 + len(ev.Text) + 16*len(ev.Tokens) }

// Backlog returns the bytes that wait for the reader.
func (s *Stream) Backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog
}

// Close ends the reading: if sequences are still going the engine is told to drop
// them. It may be called more than once and from any goroutine.
func (s *Stream) Close() {
	s.mu.Lock()
	tell := !s.closed && s.open > 0
	s.closed = true
	s.queue = nil
	s.mu.Unlock()
	if tell {
		s.cancel()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Update lets the engine's loop change the facts that the reader may ask for.
func (s *Stream) Update(f func(u *Usage, t *Timing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.usage, &s.timing)
}

// Usage returns the tokens counted so far; it is final once Next gave io.EOF.
func (s *Stream) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage
}

// Timing returns when the request's stations were passed.
func (s *Stream) Timing() Timing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timing
}

// SetPrompt gives the stream the prompt's log-probabilities, before the first event.
func (s *Stream) SetPrompt(tokens []Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompt = tokens
}

// Prompt returns the prompt's tokens with their log-probabilities if the request asked
// for them; they are complete once the first event has been read. The first token has
// no predecessor, so its Logprob is 0 and its Top empty.
func (s *Stream) Prompt() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompt
}

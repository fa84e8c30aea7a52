package engine

import (
	"context"
	"io"
	"sync"
	"time"
)

// Stream carries a request's events from the engine's loop to one reader. Pushing never
// blocks and allocates only while the buffers grow; Backlog tells the loop when to stop
// computing for a reader that does not keep up.
type Stream struct {
	mu     sync.Mutex
	queue  []record // what waits for the reader; its text and tokens lie one after another
	text   []byte
	tokens []Token
	head   int // of queue, text and tokens: what the reader has taken
	headAt mark
	open   int // sequences without a finish yet
	usage  Usage
	timing Timing
	prompt []Token
	wake   chan struct{} // cap 1: something to read
	cancel func()        // tells the engine, at most once
	unhook func() bool   // called when the request has ended
	resume func()        // tells the engine that the reader keeps up again
	held   bool          // the engine waits for that
	closed bool
}

// mark is a place in a stream's buffers.
type mark struct{ text, tokens int }

// record is an Event whose text and tokens end at a place in the stream's buffers.
type record struct {
	Event
	end mark
}

// NewStream returns the stream of a request of n sequences. cancel is called at most
// once, when the reader closes the stream before its end.
func NewStream(n int, cancel func()) *Stream {
	return &Stream{open: n, wake: make(chan struct{}, 1), cancel: cancel}
}

// Next returns the next event, waiting for one as long as ctx lives. After the last
// sequence's finish, or after Close, it returns io.EOF. One goroutine reads.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	for {
		if ev, ok, end := s.take(); ok {
			s.catchUp()
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
	if s.head == len(s.queue) {
		return Event{}, false, s.open == 0 || s.closed
	}
	r := &s.queue[s.head]
	ev = r.Event
	ev.Text = string(s.text[s.headAt.text:r.end.text])
	ev.Tokens = append([]Token(nil), s.tokens[s.headAt.tokens:r.end.tokens]...)
	s.head, s.headAt = s.head+1, r.end
	if s.head == len(s.queue) {
		s.empty()
	}
	return ev, true, false
}

// maxBacklog is how many bytes may wait for a reader before its request is put on hold.
const maxBacklog = 256 << 10

// catchUp has the request go on once the reader has taken half of what it let lie.
func (s *Stream) catchUp() {
	s.mu.Lock()
	caught := s.held && s.backlog() < maxBacklog/2
	if caught {
		s.held = false
	}
	s.mu.Unlock()
	if caught {
		s.resume()
	}
}

func (s *Stream) empty() {
	s.queue, s.text, s.tokens = s.queue[:0], s.text[:0], s.tokens[:0]
	s.head, s.headAt = 0, mark{}
}

// Push appends an event. It never blocks; after Close it drops the event.
func (s *Stream) Push(ev Event) {
	s.mu.Lock()
	s.add(ev, []byte(ev.Text), ev.Tokens)
	s.mu.Unlock()
	s.signal()
}

// deliver pushes what a step has made of a sequence and counts its tokens. It does not wake
// the reader: signal does. It reports, once, that the reader does not keep up; resume is
// called when it does again.
func (s *Stream) deliver(ev Event, text []byte, tokens []Token) (behind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage.CompletionTokens += len(tokens)
	if s.timing.FirstToken.IsZero() {
		s.timing.FirstToken = ev.At
	}
	s.add(ev, text, tokens)
	if ev.Finish != FinishNone || s.held || s.closed || s.backlog() <= maxBacklog {
		return false
	}
	s.held = true
	return true
}

// add appends an event with its text and tokens, which are copied; under mu.
func (s *Stream) add(ev Event, text []byte, tokens []Token) {
	ev.Text, ev.Tokens = "", nil
	if !s.closed {
		s.text = append(s.text, text...)
		s.tokens = append(s.tokens, tokens...)
		s.queue = append(s.queue, record{ev, mark{len(s.text), len(s.tokens)}})
	}
	if ev.Finish != FinishNone {
		s.open--
	}
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Backlog returns about how many bytes wait for the reader.
func (s *Stream) Backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog()
}

func (s *Stream) backlog() int {
	return 64*(len(s.queue)-s.head) + len(s.text) - s.headAt.text + 16*(len(s.tokens)-s.headAt.tokens)
}

// Close ends the reading: if sequences are still going the engine is told to drop them.
// It may be called more than once and from any goroutine.
func (s *Stream) Close() {
	s.mu.Lock()
	tell := !s.closed && s.open > 0
	s.closed = true
	s.empty()
	s.mu.Unlock()
	if tell {
		s.cancel()
	}
	s.signal()
}

// hook has unhook called once the request has ended, or now if it has.
func (s *Stream) hook(unhook func() bool) {
	s.mu.Lock()
	ended := s.open == 0
	s.unhook = unhook
	s.mu.Unlock()
	if ended {
		unhook()
	}
}

// end notes the end of the request.
func (s *Stream) end(now time.Time) {
	s.mu.Lock()
	s.timing.Finished = now
	unhook := s.unhook
	s.mu.Unlock()
	if unhook != nil {
		unhook()
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
// no predecessor, so its Logprob is 0 and its Top empty, as are those before ScoreFrom.
func (s *Stream) Prompt() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompt
}

package server

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/ingot-llm/ingot/engine"
	"github.com/valyala/fasthttp"
)

// job is the generation behind one HTTP request: one engine stream for each prompt. Its
// choices are numbered prompt by prompt.
type job struct {
	server  *Server
	ctx     context.Context // ends with the client, the drain or the job
	cancel  context.CancelCauseFunc
	conn    net.Conn
	unwatch func() // nil before the first wait
	reqs    []engine.Request
	streams []*engine.Stream
	merged  chan engine.Event // of more than one stream
	readers sync.WaitGroup    // that feed merged
	open    int               // choices without a finish
	last    []time.Time       // of each choice's latest token
	end     error             // why it is over, set by close
	closing sync.Once
	arrived time.Time
}

// submit hands requests to the engine. The job must be closed.
// If the engine refuses one request, none goes on.
func (s *Server) submit(ctx *fasthttp.RequestCtx, reqs []engine.Request) (*job, error) {
	x := exchangeOf(ctx)
	j := &job{server: s, reqs: reqs, arrived: x.start, conn: ctx.Conn()}
	j.ctx, j.cancel = context.WithCancelCause(s.base)
	x.job = j
	for i := range reqs {
		stream, err := s.model.Engine.Submit(j.ctx, reqs[i])
		if err != nil {
			j.close(err)
			return nil, err
		}
		s.pace.begin()
		j.streams = append(j.streams, stream)
		j.open += reqs[i].N
	}
	j.last = make([]time.Time, j.open)
	if len(reqs) > 1 {
		j.merge()
	}
	return j, nil
}

// merge reads all streams into one channel without a buffer, so that a slow client still
// holds its streams back.
func (j *job) merge() {
	j.merged = make(chan engine.Event)
	first := 0
	for i, stream := range j.streams {
		j.readers.Add(1)
		go func(first int) {
			defer j.readers.Done()
			for {
				ev, err := stream.Next(j.ctx)
				if err != nil {
					return
				}
				ev.Index += first
				select {
				case j.merged <- ev:
				case <-j.ctx.Done():
					return
				}
			}
		}(first)
		first += j.reqs[i].N
	}
}

// next returns the next event; Index counts through all prompts. After the last choice's
// finish it returns io.EOF. If ctx ends first it returns ctx's error, and if the job's
// own context ends, its cause.
func (j *job) next(ctx context.Context) (engine.Event, error) {
	if j.open == 0 {
		return engine.Event{}, io.EOF
	}
	ev, err := j.receive(ctx)
	switch {
	case j.ctx.Err() != nil:
		return engine.Event{}, context.Cause(j.ctx)
	case errors.Is(err, io.EOF):
		return engine.Event{}, engine.ErrClosed // the engine broke off
	case err != nil:
		return engine.Event{}, err
	}
	j.observe(&ev)
	switch ev.Finish {
	case engine.FinishError:
		return engine.Event{}, ev.Err
	case engine.FinishAbort:
		return engine.Event{}, engine.ErrClosed
	}
	return ev, nil
}

// ready reports whether next is sure not to wait.
func (j *job) ready() bool {
	return j.open == 0 || j.merged == nil && j.streams[0].Backlog() > 0
}

// receive takes an event. The client is watched from the first time that this waits.
func (j *job) receive(ctx context.Context) (engine.Event, error) {
	if j.unwatch == nil && !j.ready() {
		j.unwatch = j.server.watch.add(j.conn, func() { j.cancel(errClientGone) })
	}
	if j.merged == nil {
		return j.streams[0].Next(ctx)
	}
	select {
	case ev := <-j.merged:
		return ev, nil
	case <-ctx.Done():
		return engine.Event{}, ctx.Err()
	}
}

// observe counts an event.
func (j *job) observe(ev *engine.Event) {
	if len(ev.Tokens) > 0 && !ev.At.IsZero() {
		if before := j.last[ev.Index]; !before.IsZero() {
			j.server.metrics.itl.Observe(ev.At.Sub(before).Seconds() / float64(len(ev.Tokens)))
		}
		j.last[ev.Index] = ev.At
	}
	if ev.Finish != engine.FinishNone {
		j.open--
		j.server.metrics.finished(ev.Finish)
	}
}

// usage sums the tokens of all prompts.
func (j *job) usage() engine.Usage {
	var sum engine.Usage
	for _, s := range j.streams {
		u := s.Usage()
		sum.PromptTokens += u.PromptTokens
		sum.CachedTokens += u.CachedTokens
		sum.CompletionTokens += u.CompletionTokens
	}
	return sum
}

// prompt returns the i-th prompt's tokens with log-probabilities.
func (j *job) prompt(i int) []engine.Token { return j.streams[i].Prompt() }

// close ends the job because of cause and frees what it holds; only the first call counts.
func (j *job) close(cause error) {
	j.closing.Do(func() {
		j.end = cause
		if j.unwatch != nil {
			j.unwatch()
		}
		j.cancel(cause)
		ran := 0
		for i, s := range j.streams {
			s.Close()
			t := s.Timing()
			if !t.Scheduled.IsZero() {
				ran++
			}
			j.server.metrics.ended(&j.reqs[i], s.Usage(), t, j.arrived)
		}
		j.server.pace.end(len(j.streams), ran)
		j.readers.Wait()
	})
}

// endedBy names for the log why the job is over.
func (j *job) endedBy() string {
	switch {
	case j.end == nil:
		return "open"
	case errors.Is(j.end, errFinished):
		return "complete"
	}
	return asError(j.end).Code
}

package engine

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

func TestStreamOrderAndEnd(t *testing.T) {
	s := NewStream(2, func() { t.Error("cancelled though every sequence had ended") })
	s.Push(Event{Index: 0, Text: "a"})
	s.Push(Event{Index: 1, Finish: FinishStop})
	s.Push(Event{Index: 0, Finish: FinishLength})
	for i, want := range []Event{{Index: 0, Text: "a"}, {Index: 1, Finish: FinishStop}, {Index: 0, Finish: FinishLength}} {
		got, err := s.Next(t.Context())
		if err != nil || got.Index != want.Index || got.Text != want.Text || got.Finish != want.Finish {
			t.Fatalf("event %d is %+v (%v), want %+v", i, got, err, want)
		}
	}
	if _, err := s.Next(t.Context()); err != io.EOF {
		t.Fatalf("after the last finish Next gave %v, want io.EOF", err)
	}
	if s.Backlog() != 0 {
		t.Fatalf("backlog of an empty stream is %d", s.Backlog())
	}
	s.Close()
}

func TestStreamWaitsAndCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := 0
		s := NewStream(1, func() { cancelled++ })
		got := make(chan Event)
		go func() {
			ev, _ := s.Next(t.Context())
			got <- ev
		}()
		synctest.Wait() // the reader waits
		s.Push(Event{Text: "x"})
		if ev := <-got; ev.Text != "x" {
			t.Fatalf("read %+v", ev)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("Next of a cancelled context gave %v", err)
		}
		s.Close()
		s.Close()
		s.Push(Event{Text: "late"})
		if _, err := s.Next(t.Context()); err != io.EOF || cancelled != 1 {
			t.Fatalf("after Close: %v, cancelled %d times; want io.EOF, once", err, cancelled)
		}
	})
}

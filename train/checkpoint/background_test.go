package checkpoint

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// put copies the values of some arrays to others.
func put(to, from []Array) {
	for i, a := range from {
		copy(to[i].Values, a.Values)
	}
}

// held is a Store whose saves end when they are let.
func held(t *testing.T, end chan error) *Store {
	s := open(t, t.TempDir())
	s.before = func(operation string) error {
		if operation == "mkdir" {
			return <-end
		}
		return nil
	}
	return s
}

// TestStart: what changes after Start is not in the checkpoint, the next save waits for
// it, and Wait for both.
func TestStart(t *testing.T) {
	end := make(chan error)
	s := held(t, end)
	arrays := state(1)
	if err := s.Start(Manifest{Step: 1}, arrays); err != nil {
		t.Fatal(err)
	}
	put(arrays, state(2))
	if err := s.Failed(); err != nil {
		t.Errorf("a save that goes on has failed: %v", err)
	}
	started := make(chan error)
	go func() { started <- s.Start(Manifest{Step: 2}, arrays) }()
	select {
	case err := <-started:
		t.Fatalf("a second save began beside the first: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	end <- nil
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	expect(t, s, 1)
	put(arrays, state(3))
	end <- nil
	if err := errors.Join(s.Wait(), s.Wait()); err != nil {
		t.Fatal(err)
	}
	expect(t, s, 2)
}

// TestStartFails: the error of a save comes once, from whatever asks first, and the next
// save is made.
func TestStartFails(t *testing.T) {
	full := errors.New("no space")
	for name, ask := range map[string]func(s *Store) error{
		"wait":  (*Store).Wait,
		"start": func(s *Store) error { return s.Start(Manifest{Step: 2}, state(2)) },
		"close": (*Store).Close,
		"failed": func(s *Store) (err error) {
			for err == nil {
				err = s.Failed()
			}
			return err
		},
	} {
		end := make(chan error, 2)
		s := held(t, end)
		end <- full
		if err := s.Start(Manifest{Step: 1}, state(1)); err != nil {
			t.Fatal(err)
		}
		if err := ask(s); !errors.Is(err, full) || !strings.Contains(err.Error(), "step 1") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "close" {
			continue
		}
		end <- nil
		if err := errors.Join(s.Failed(), s.Start(Manifest{Step: 3}, state(3)), s.Wait()); err != nil {
			t.Errorf("%s, and then: %v", name, err)
		}
		expect(t, s, 3)
	}
}

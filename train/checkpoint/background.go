package checkpoint

import (
	"fmt"

	"github.com/ingot-llm/ingot/kernels"
)

// Start copies the arrays and saves the copy while the caller goes on and changes them. It
// waits for the save before it and returns that one's error. The arrays are always the
// same ones.
func (s *Store) Start(m Manifest, arrays []Array) error {
	if err := s.Wait(); err != nil {
		return err
	}
	if err := s.copy.take(arrays); err != nil {
		return err
	}
	saving := make(chan error, 1)
	s.saving = saving
	go func() { saving <- s.Save(m, s.copy.arrays) }()
	return nil
}

// Wait ends when no save goes on, and returns the error of the last one that was started,
// once.
func (s *Store) Wait() error {
	if s.saving == nil {
		return nil
	}
	err := <-s.saving
	s.saving = nil
	return err
}

// Failed is Wait that does not wait: a save that goes on has no error yet.
func (s *Store) Failed() error {
	select {
	case err := <-s.saving:
		s.saving = nil
		return err
	default:
		return nil
	}
}

// snapshot is a copy of arrays in native memory, made when it is first taken.
type snapshot struct {
	buf    *kernels.Buf
	arrays []Array
}

func (c *snapshot) take(arrays []Array) error {
	if c.buf == nil {
		if err := c.allocate(arrays); err != nil {
			return err
		}
	}
	for i, a := range arrays {
		copy(c.arrays[i].Values, a.Values)
	}
	return nil
}

func (c *snapshot) allocate(arrays []Array) (err error) {
	total := 0
	for _, a := range arrays {
		total += len(a.Values)
	}
	if c.buf, err = kernels.NewBuf(4 * total); err != nil {
		return fmt.Errorf("a copy of the state to save from: %w", err)
	}
	all := c.buf.Floats()
	for _, a := range arrays {
		c.arrays = append(c.arrays, Array{a.Name, all[:len(a.Values):len(a.Values)]})
		all = all[len(a.Values):]
	}
	return nil
}

func (c *snapshot) free() {
	if c.buf != nil {
		c.buf.Free()
	}
	*c = snapshot{}
}

package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// acquire locks the folder for as long as the process lives: the system unlocks it then.
func (s *Store) acquire() error {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cannot lock the checkpoints: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		owner, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		return fmt.Errorf("process %s trains in %q already: wait for it or take another folder", strings.TrimSpace(string(owner)), s.dir)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("cannot lock the checkpoints: %w", err)
	}
	s.lock = f
	return nil
}

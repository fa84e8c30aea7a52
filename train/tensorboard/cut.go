package tensorboard

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// cut takes the events of the steps from first on out of a folder's files, and what a
// process that was killed left of its last one. The first event of a process tells readers
// to forget these steps, but not all forget the texts.
func cut(dir string, first int) error {
	files, err := filepath.Glob(filepath.Join(dir, prefix+"*"+suffix))
	if err != nil {
		return err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.Truncate(path, int64(before(data, first)))
		}
		if err != nil {
			return fmt.Errorf("cannot take later steps out of the events: %w", err)
		}
	}
	return nil
}

// before returns how many bytes of a file are whole records before the first one of the
// steps from first on.
func before(data []byte, first int) (n int) {
	for {
		event, size := frame(data[n:])
		if event == nil || stepOf(event) >= first {
			return n
		}
		n += size
	}
}

// frame returns the event in the record with which data begin, and the record's size; nil
// if it is not whole.
func frame(data []byte) (event []byte, size int) {
	if len(data) < 16 {
		return nil, 0
	}
	length := binary.LittleEndian.Uint64(data)
	if length > uint64(len(data)-16) || binary.LittleEndian.Uint32(data[8:]) != masked(data[:8]) {
		return nil, 0
	}
	size = 16 + int(length)
	if event = data[12 : size-4]; binary.LittleEndian.Uint32(data[size-4:]) != masked(event) {
		return nil, 0
	}
	return event, size
}

// stepOf returns the step of an event that encode wrote: behind its time.
func stepOf(event []byte) int {
	const at = 1 + 8
	if len(event) < at+2 || event[at] != eventStep<<3|wireVarint {
		return 0
	}
	step, _ := binary.Uvarint(event[at+1:])
	return int(step)
}

package engine

import (
	"os"
	"path/filepath"
	"strings"
)

// Processor returns the processor's name as the system tells it, "" where it does not.
// root is "/".
func Processor(root string) string {
	text, _ := os.ReadFile(filepath.Join(root, "proc/cpuinfo"))
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Package quanttest finds the test data that lies beside the checkout.
package quanttest

import (
	"os"
	"path/filepath"
	"testing"
)

// Shared returns the path of a file or folder under the shared data folder (elem are
// path elements below it, such as "data", "models"). It skips the test with a message
// where the data is absent. INGOT_SHARED names the folder; the default is "shared"
// beside the module's root.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("INGOT_SHARED")
	if root == "" {
		root = filepath.Join(moduleRoot(t), "..", "shared")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("shared test data is absent: %v (set INGOT_SHARED to its folder)", err)
	}
	return path
}

func moduleRoot(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/ingot-llm/ingot/"

// mayImport is the direction of imports: a folder imports itself and what its row
// names. Server and train never import each other.
var mayImport = map[string]string{
	"chart":   "chart",
	"quant":   "quant",
	"kernels": "quant kernels",
	"kv":      "quant kernels kv",
	"engine":  "quant kernels kv engine",
	"server":  "quant kernels kv engine server",
	"train":   "quant kernels kv engine chart train",
	"bench":   "quant kernels kv engine chart server train bench",
	".":       "quant kernels kv engine chart server train bench",
}

// TestImports reads the imports of every Go file (not through the go command, whose
// answers the test cache does not know of) and refuses one that points up.
func TestImports(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".git")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			checkImports(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, path string) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	folder := top(filepath.ToSlash(path))
	allowed, known := mayImport[folder]
	if !known {
		t.Errorf("%s: the top level has no folder %q: add it to the table or move the file", path, folder)
	}
	for _, imp := range file.Imports {
		target, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module)
		if ours && !strings.Contains(" "+allowed+" ", " "+top(target+"/")+" ") {
			t.Errorf("%s imports %s: %s may import only %s", path, target, folder, allowed)
		}
	}
}

// top returns the first folder of a slash path, "." for a file at the top.
func top(path string) string {
	first, _, deeper := strings.Cut(path, "/")
	if !deeper {
		return "."
	}
	return first
}

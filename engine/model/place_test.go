package model

import (
	"strings"
	"testing"

	"github.com/ingot-llm/ingot/kernels"
)

func TestParsePlacement(t *testing.T) {
	for _, name := range []string{"auto", "map", "load", "repack"} {
		if p, err := ParsePlacement(name); err != nil || string(p) != name {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if _, err := ParsePlacement("copy"); err == nil || !strings.Contains(err.Error(), `"copy"`) || !strings.Contains(err.Error(), "repack") {
		t.Errorf("an unknown placement gave %v", err)
	}
}

// TestAutoPlacement: repacked by native kernels where the copy leaves memory, else mapped.
func TestAutoPlacement(t *testing.T) {
	program := &kernels.Program{Operands: []kernels.Operand{{Kind: kernels.Weight, Data: make([]byte, 1000)}}}
	m, native := &Model{Program: program}, &kernels.Table{Name: "native"}
	for _, c := range []struct {
		table  *kernels.Table
		memory int64
		want   Placement
	}{
		{native, 0, PlaceRepack}, {native, 2000, PlaceRepack}, {native, 1999, PlaceMap}, {kernels.Reference, 0, PlaceMap},
	} {
		if got := m.placement(c.table, c.memory); got != c.want {
			t.Errorf("%s, %d bytes: %s, want %s", c.table.Name, c.memory, got, c.want)
		}
	}
	if _, err := m.Place(nil, PlaceRepack, kernels.Reference, nil, 0); err == nil {
		t.Error("the reference took a request to repack")
	}
}

package model

import (
	"fmt"

	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
)

// Placement is where the weights lie while the model runs.
type Placement string

const (
	PlaceAuto   Placement = "auto"   // PlaceRepack where the memory allows it, else PlaceMap
	PlaceMap    Placement = "map"    // in the file's pages: starts at once, and memory is shared
	PlaceLoad   Placement = "load"   // a copy on large pages
	PlaceRepack Placement = "repack" // a copy on large pages, in the order in which products read it
)

// PlacementUsage is the help of a flag for it.
const PlacementUsage = "where weights lie: map (the file's pages), load (a copy on large pages), repack (a copy in the order " +
	"in which products read it, the fastest), auto (repack where the copy takes at most half of the memory)"

// ParsePlacement returns the placement of a name on the command line.
func ParsePlacement(name string) (Placement, error) {
	switch p := Placement(name); p {
	case PlaceAuto, PlaceMap, PlaceLoad, PlaceRepack:
		return p, nil
	}
	return "", fmt.Errorf("--weights is %q, want auto, map, load or repack", name)
}

// Place moves the weights of m, which Load has bound to src, to where p says, before any
// Runner is made, and returns what PlaceAuto turned out to be. memory is what the process
// may use, in bytes, 0 where that is no matter. The bits of the results stay the same.
func (m *Model) Place(src quant.Source, p Placement, t *kernels.Table, lib *kernels.Library, memory int64) (Placement, error) {
	if p == PlaceAuto {
		p = m.placement(t, memory)
	}
	var err error
	switch p {
	case PlaceLoad:
		err = lib.Load(m.Program)
	case PlaceRepack:
		if t == kernels.Reference {
			return p, fmt.Errorf("--weights repack is for native kernels: the reference reads weights as they lie")
		}
		err = lib.Repack(m.Program, t)
	}
	if r, ok := src.(quant.Releaser); ok && err == nil && p != PlaceMap {
		r.Release()
	}
	return p, err
}

func (m *Model) placement(t *kernels.Table, memory int64) Placement {
	if t == kernels.Reference || memory > 0 && m.Program.WeightBytes() > memory/2 {
		return PlaceMap
	}
	return PlaceRepack
}

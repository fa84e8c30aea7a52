package shape

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// figures are what With changes, by their names on the command line.
var figures = map[string]func(*Shape) *int{
	"layers":       func(s *Shape) *int { return &s.Layers },
	"width":        func(s *Shape) *int { return &s.Dim },
	"ffn":          func(s *Shape) *int { return &s.FF },
	"heads":        func(s *Shape) *int { return &s.Heads },
	"kv-heads":     func(s *Shape) *int { return &s.KVHeads },
	"head-width":   func(s *Shape) *int { return &s.HeadDim },
	"window":       func(s *Shape) *int { return &s.Window },
	"experts":      func(s *Shape) *int { return &s.Experts },
	"experts-used": func(s *Shape) *int { return &s.ExpertsUsed },
	"expert-ffn":   func(s *Shape) *int { return &s.ExpertFF },
}

// FigureNames lists the names that With knows, for a message.
func FigureNames() string { return strings.Join(slices.Sorted(maps.Keys(figures)), ", ") }

// With returns the shape with other figures, by their names. Check says whether they fit.
func (s Shape) With(changes map[string]int) (Shape, error) {
	for name, n := range changes {
		at, ok := figures[name]
		if !ok {
			return s, fmt.Errorf("a shape has no figure %q: want one of %s", name, FigureNames())
		}
		*at(&s) = n
	}
	return s, nil
}

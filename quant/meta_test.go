package quant

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestMetaKeepsOrderAndTypes(t *testing.T) {
	var m Meta
	m.Set("name", "tiny")
	m.Set("layers", uint32(2))
	m.Set("eps", float32(0.5))
	m.Set("tied", true)
	m.Set("heads", []int32{4, 8})
	m.Set("layers", uint64(3)) // replaced in place
	c := m.Clone()
	c.Delete("eps")
	c.Delete("absent")
	if got, want := m.Keys(), []string{"name", "layers", "eps", "tied", "heads"}; !reflect.DeepEqual(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if got, want := c.Keys(), []string{"name", "layers", "tied", "heads"}; !reflect.DeepEqual(got, want) || c.Has("eps") || !m.Has("eps") {
		t.Errorf("after Delete the clone has %q, want %q, the original its own", got, want)
	}
	if m.String("name", "") != "tiny" || m.String("layers", "none") != "none" || m.Int("layers", 0) != 3 || m.Int("name", 7) != 7 ||
		m.Float("eps", 0) != 0.5 || m.Float("layers", 0) != 3 || m.Float("tied", 9) != 9 || !m.Bool("tied", false) || !m.Bool("name", true) {
		t.Error("a value came back wrong")
	}
	if got := m.Ints("heads"); !reflect.DeepEqual(got, []int{4, 8}) || m.Get("absent") != nil {
		t.Errorf("heads %v", got)
	}
	if err := m.Need("name", "rope"); err == nil || !strings.Contains(err.Error(), `"rope"`) || m.Need("name") != nil {
		t.Errorf("Need: %v", err)
	}
}

func TestMetaWidensIntegers(t *testing.T) {
	for _, v := range []any{uint8(5), int8(5), uint16(5), int16(5), uint32(5), int32(5), uint64(5), int64(5)} {
		var m Meta
		m.Set("n", v)
		if m.Int("n", 0) != 5 || m.Float("n", 0) != 5 || !reflect.DeepEqual(m.Ints("n"), []int{5}) {
			t.Errorf("%T: %d", v, m.Int("n", 0))
		}
	}
	for _, v := range []any{[]uint8{0, 1}, []int8{0, 1}, []uint16{0, 1}, []int16{0, 1}, []uint32{0, 1}, []int32{0, 1}, []uint64{0, 1}, []int64{0, 1}, []bool{false, true}} {
		var m Meta
		m.Set("n", v)
		if got := m.Ints("n"); !reflect.DeepEqual(got, []int{0, 1}) {
			t.Errorf("%T: %v", v, got)
		}
	}
	var m Meta
	m.Set("big", uint64(math.MaxUint64))
	m.Set("f64", 2.5)
	m.Set("texts", []string{"a"})
	m.Set("floats", []float32{1})
	if m.Int("big", -1) != -1 || m.Ints("texts") != nil || m.Ints("absent") != nil || m.Float("f64", 0) != 2.5 ||
		len(m.Strings("texts")) != 1 || len(m.Floats("floats")) != 1 || m.Strings("floats") != nil {
		t.Error("a value of another type came back wrong")
	}
}

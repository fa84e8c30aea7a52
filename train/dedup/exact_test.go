package dedup

import (
	"fmt"
	"testing"
)

// TestExact adds more texts than there is memory for, twice: those taken in came before.
func TestExact(t *testing.T) {
	e := NewExact(8 * 3 * 4096) // grows from 1024 slots to 4096 and on to 8192
	for round := range 2 {
		for i := range 10000 {
			before := e.Add(KeyOf(fmt.Sprint(i)))
			if want := round == 1 && i < 6144; before != want {
				t.Fatalf("round %d: text %d came before: %v", round, i, before)
			}
		}
		if !e.Full() || e.Documents() != 6144 {
			t.Fatalf("%d texts, full: %v", e.Documents(), e.Full())
		}
	}
	if !e.Has(KeyOf("6143")) || e.Has(KeyOf("6144")) || e.Has(0) {
		t.Error("Has does not agree with Add")
	}
	if e.Add(0) || e.Documents() != 6144 {
		t.Error("the key 0 came before")
	}
}

package unorm

import "testing"

// The forms of each text by UAX #15; the cases are ones that implementations get wrong.
func TestForms(t *testing.T) {
	for _, c := range []struct{ in, nfc, nfd, nfkc, nfkd string }{
		{"", "", "", "", ""},
		{"abc", "abc", "abc", "abc", "abc"},
		{"é", "é", "e\u0301", "é", "e\u0301"},
		{"e\u0301", "é", "e\u0301", "é", "e\u0301"},
		{"\u1e9b\u0323", "\u1e9b\u0323", "\u017f\u0323\u0307", "\u1e69", "s\u0323\u0307"},
		{"ﬁ①", "ﬁ①", "ﬁ①", "fi1", "fi1"},
		{"\u212b", "\u00c5", "A\u030a", "\u00c5", "A\u030a"},
		{"각", "각", "\u1100\u1161\u11a8", "각", "\u1100\u1161\u11a8"},
		{"\u1100\u1161\u11a8", "각", "\u1100\u1161\u11a8", "각", "\u1100\u1161\u11a8"},
		{"가\u11a7", "가\u11a7", "\u1100\u1161\u11a7", "가\u11a7", "\u1100\u1161\u11a7"},
		{"\u0958", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c"}, // composition exclusion
		{"a\u0315\u0300\u05ae\u0300b", "\u00e0\u05ae\u0300\u0315b", "a\u05ae\u0300\u0300\u0315b", "\u00e0\u05ae\u0300\u0315b", "a\u05ae\u0300\u0300\u0315b"},
		{"\u0344", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301"},
		{"\u2126\u00a0x", "\u03a9\u00a0x", "\u03a9\u00a0x", "\u03a9 x", "\u03a9 x"},
		{"\U0001d15e", "\U0001d157\U0001d165", "\U0001d157\U0001d165", "\U0001d157\U0001d165", "\U0001d157\U0001d165"},
	} {
		for f, want := range map[Form]string{NFC: c.nfc, NFD: c.nfd, NFKC: c.nfkc, NFKD: c.nfkd} {
			if got := f.String(c.in); got != want {
				t.Errorf("form %d of %+q is %+q, want %+q", f, c.in, got, want)
			}
		}
	}
}

func FuzzForms(f *testing.F) {
	f.Add("e\u0301\u1e9b\u0323 각\u11a8 ﬁ\u0300\u0315\u05ae")
	f.Fuzz(func(t *testing.T, s string) {
		for _, form := range []Form{NFC, NFD, NFKC, NFKD} {
			once := form.String(s)
			if twice := form.String(once); twice != once {
				t.Errorf("form %d of %+q is %+q, and of that %+q", form, s, once, twice)
			}
		}
		if a, b := NFC.String(NFD.String(s)), NFC.String(s); a != b {
			t.Errorf("NFC of %+q is %+q, through NFD %+q", s, b, a)
		}
	})
}

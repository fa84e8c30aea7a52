package engine

import "bytes"

// stopMatcher finds stop strings in text that arrives in pieces. What may yet become a
// stop string is held back, so a reader never sees a part of one. It allocates only
// while its buffer grows.
type stopMatcher struct {
	stops []string
	text  []byte // the first shown bytes have been let through
	shown int
}

// push takes the next text and returns what may be shown, valid until the next call, and
// the stop string that ended it, if one did; nothing may be pushed after that.
func (m *stopMatcher) push(text []byte) (show []byte, stop string) {
	if len(m.stops) == 0 {
		return text, ""
	}
	held := copy(m.text, m.text[m.shown:])
	m.text = append(m.text[:held], text...)
	if at, s := firstStop(m.text, m.stops); s != "" {
		m.shown = len(m.text)
		return m.text[:at], s
	}
	m.shown = len(m.text) - pendingStop(m.text, m.stops)
	return m.text[:m.shown], ""
}

// flush returns what was held back, once no more text can come.
func (m *stopMatcher) flush() []byte {
	held := m.text[m.shown:]
	m.shown = len(m.text)
	return held
}

// firstStop returns the earliest place in text where a stop string begins (the longest
// of those that begin there), or "".
func firstStop(text []byte, stops []string) (at int, stop string) {
	at = len(text)
	for _, s := range stops {
		i := bytes.Index(text, []byte(s))
		if i >= 0 && (i < at || i == at && len(s) > len(stop)) {
			at, stop = i, s
		}
	}
	return at, stop
}

// pendingStop returns the length of the longest end of text that begins a stop string.
func pendingStop(text []byte, stops []string) int {
	keep := 0
	for _, s := range stops {
		for n := min(len(s)-1, len(text)); n > keep; n-- {
			if string(text[len(text)-n:]) == s[:n] {
				keep = n
				break
			}
		}
	}
	return keep
}

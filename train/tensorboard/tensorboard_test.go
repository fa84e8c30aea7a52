package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGolden: records have the bytes of those that PyTorch 2.15's SummaryWriter wrote.
func TestGolden(t *testing.T) {
	at := func(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }
	for _, g := range []struct {
		event event
		time  float64
		want  string
	}{
		{event{step: 3, scalars: []Scalar{{"loss", 2.5}}}, 1000.5,
			"1a00000000000000" + "129bd82d" + "090000000000448f4010032a0d0a0b0a046c6f73731500002040" + "b1d2a34c"},
		{event{step: 3, tag: "sample/text_summary", text: "Once"}, 1001, "3e00000000000000" + "d9d240e7" +
			"090000000000488f4010032a310a2f0a1373616d706c652f746578745f73756d6d6172794" + "20e080712041202080142044f6e63654a080a060a0474657874" + "cdacb9dc"},
	} {
		if got := hex.EncodeToString(record(g.event.encode(at(g.time)))); got != g.want {
			t.Errorf("%+v\n%s, want\n%s", g.event, got, g.want)
		}
	}
}

// TestFile: a file begins with its version and with the step from which on it counts, and
// holds an event as soon as it is written; a further one comes after it by name.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Scalars(1, Scalar{"train/loss", 7.5}, Scalar{"train/mfu", 0.25}); err != nil {
		t.Fatal(err)
	}
	if err := w.Text(300, "sample", strings.Repeat("Once ", 60)); err != nil {
		t.Fatal(err)
	}
	before := events(t, w.file.Name())
	again, err := Create(dir, 201)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 2 || files[0] != w.file.Name() || files[1] != again.file.Name() {
		t.Fatalf("files %v, %v", files, err)
	}
	want := []string{"3=brain.Event:2", "2=1 7.1=1", "2=1 5.1.1=train/loss 5.1.2=7.5 5.1.1=train/mfu 5.1.2=0.25",
		"2=300 5.1.1=sample 5.1.8.1=7 5.1.8.2.2.1=1 5.1.8.8=" + strings.Repeat("Once ", 60) + " 5.1.9.1.1=text"}
	if fmt.Sprint(before) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", before, want)
	}
	if got := events(t, files[0]); fmt.Sprint(got) != fmt.Sprint(want[:3]) {
		t.Errorf("then %q, want %q", got, want[:3])
	}
	if got := events(t, files[1]); fmt.Sprint(got) != "[3=brain.Event:2 2=201 7.1=1]" {
		t.Errorf("the further file: %q", got)
	}
}

// TestTorn: of a file that ends anywhere the whole records stay.
func TestTorn(t *testing.T) {
	var file []byte
	ends := []int{0} // of the records
	for step := 1; step < 200; step += 66 {
		file = append(file, record(event{step: step, scalars: []Scalar{{"loss", 1}}}.encode(time.Unix(1000, 0)))...)
		ends = append(ends, len(file))
	}
	whole := 0
	for n := range len(file) + 1 {
		if whole+1 < len(ends) && n == ends[whole+1] {
			whole++
		}
		if got := before(file[:n], 1000); got != ends[whole] {
			t.Errorf("of %d bytes %d stay, want %d", n, got, ends[whole])
		}
	}
	for first, records := range map[int]int{1: 0, 2: 1, 67: 1, 68: 2, 133: 2, 134: 3, 1 << 40: 4} {
		if got, want := before(file, first), ends[records]; got != want {
			t.Errorf("before step %d there are %d bytes, want %d", first, got, want)
		}
	}
}

// events reads a file without the code that wrote it: each event as PATH=value of its
// fields, but the time, which must be now.
func events(t *testing.T, path string) (all []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for r := bytes.NewReader(data); r.Len() > 0; {
		var head struct {
			Length uint64
			Sum    uint32
		}
		if err := binary.Read(r, binary.LittleEndian, &head); err != nil || head.Length > uint64(r.Len()) {
			t.Fatalf("length %d with %d left, %v", head.Length, r.Len(), err)
		}
		event, sum := make([]byte, head.Length), uint32(0)
		_, _ = r.Read(event)
		if err := binary.Read(r, binary.LittleEndian, &sum); err != nil {
			t.Fatal(err)
		}
		if want := unmasked(sum); want != crc32.Checksum(event, crc32.MakeTable(crc32.Castagnoli)) {
			t.Errorf("the event's sum is %08x", want)
		}
		if want := unmasked(head.Sum); want != crc32.Checksum(binary.LittleEndian.AppendUint64(nil, head.Length), crc32.MakeTable(crc32.Castagnoli)) {
			t.Errorf("the length's sum is %08x", want)
		}
		var seconds float64
		if _, err := fmt.Sscanf(fields(t, "", event)[0], "1=%g", &seconds); err != nil || math.Abs(seconds-float64(time.Now().Unix())) > 60 {
			t.Errorf("an event of %v, %v", seconds, err)
		}
		all = append(all, strings.Join(fields(t, "", event)[1:], " "))
	}
	return all
}

// unmasked undoes the mask: its inverse, from the definition in TensorFlow's crc32c.h.
func unmasked(sum uint32) uint32 {
	rotated := sum - 0xa282ead8
	return rotated>>17 | rotated<<15
}

// texts are the fields that hold text; others of their kind hold messages.
var texts = map[string]bool{"3": true, "5.1.1": true, "5.1.8.8": true, "5.1.9.1.1": true}

func fields(t *testing.T, path string, m []byte) (all []string) {
	t.Helper()
	for len(m) > 0 {
		key, n := binary.Uvarint(m)
		m = m[n:]
		at := strings.TrimPrefix(fmt.Sprintf("%s.%d", path, key>>3), ".")
		switch key & 7 {
		case 0:
			v, n := binary.Uvarint(m)
			all, m = append(all, fmt.Sprintf("%s=%d", at, v)), m[n:]
		case 1:
			all, m = append(all, fmt.Sprintf("%s=%f", at, math.Float64frombits(binary.LittleEndian.Uint64(m)))), m[8:]
		case 5:
			all, m = append(all, fmt.Sprintf("%s=%g", at, math.Float32frombits(binary.LittleEndian.Uint32(m)))), m[4:]
		case 2:
			length, n := binary.Uvarint(m)
			body := m[n : n+int(length)]
			if m = m[n+int(length):]; texts[at] {
				all = append(all, fmt.Sprintf("%s=%s", at, body))
			} else {
				all = append(all, fields(t, at, body)...)
			}
		default:
			t.Fatalf("field %s has the wire type %d", at, key&7)
		}
	}
	return all
}

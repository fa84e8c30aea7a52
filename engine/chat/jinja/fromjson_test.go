package jinja

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestFromJSON(t *testing.T) {
	for src, want := range map[string]string{
		`1`: "1", `1.0`: "1.0", `-0`: "0", `-0.0`: "-0.0", `1e2`: "100.0", `18446744073709551615`: "18446744073709551615",
		`1e999`: "inf", ` [ ] `: "[]", `{}`: "{}", `{"b": 1, "a": null, "": true}`: "{'b': 1, 'a': None, '': True}",
		`"\u00e9\ud83d\ude00\n\/"`: "é😀\n/", `[1, [2, {"x": [false]}]]`: "[1, [2, {'x': [False]}]]",
	} {
		v, err := FromJSON([]byte(src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		r := &render{lim: Limits{}.withDefaults(), check: 1 << 40}
		if got := r.str(v).s; got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
}

func TestFromJSONDepth(t *testing.T) {
	if _, err := FromJSON([]byte(strings.Repeat("[", 64) + "1" + strings.Repeat("]", 64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
}

func TestFromJSONRefuses(t *testing.T) {
	for _, src := range []string{
		``, ` `, `{`, `[1,]`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `01`, `1.`, `.5`, `1e`, `+1`, `--1`, `"a`, `"\x"`, `"\u12"`, `"\ud800"`, `"\ud800\u0041"`,
		`"\udc00"`, "\"\xff\"", "\"a\nb\"", `nul`, `truex`, `1 2`, `NaN`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[", 100000), strings.Repeat("9", 400),
	} {
		if v, err := FromJSON([]byte(src)); err == nil {
			t.Errorf("%.40q decodes to kind %v", src, v.Kind())
		}
	}
}

func TestLargeDict(t *testing.T) {
	d := NewDict(0)
	for i := range 100 {
		d.set(Int(int64(i)), Int(int64(i*i)))
	}
	d.set(Int(5), None())
	d.remove(d.find(Int(7)))
	if v, ok := d.get(Int(99)); !ok || v.n != 99*99 || d.Len() != 99 {
		t.Errorf("key 99 has %v, %v in a dict of %d", v, ok, d.Len())
	}
	if _, ok := d.get(Int(7)); ok {
		t.Error("key 7 is still there")
	}
	if v, _ := d.clone().get(Float(5)); v.kind != KindNone {
		t.Error("5.0 is another key than 5")
	}
}

// FuzzFromJSON compares with encoding/json, which accepts more: what we accept it reads alike.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u00e9",null,true]}`, `[[[]]]`, `"\ud83d\ude00"`, `-1e-5`, `{"a":1,"a":2}`, "1" + strings.Repeat("0", 309)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := FromJSON(data)
		if err != nil {
			return
		}
		r := &render{lim: Limits{Depth: 100, Output: 1 << 30, Alloc: 1 << 40, Steps: 1 << 40}.withDefaults(), check: 1 << 40}
		var ours, theirs any
		out := r.dumps(v, &jsonStyle{item: ",", pair: ":"}).s
		if strings.Contains(out, "Infinity") {
			return
		}
		err = json.Unmarshal(data, &theirs)
		if big := new(json.UnmarshalTypeError); errors.As(err, &big) {
			return // an integer beyond float64, which we keep exactly, as Python does
		}
		if err != nil {
			t.Fatalf("%q: encoding/json refuses what we accept: %v", data, err)
		}
		if err := json.Unmarshal([]byte(out), &ours); err != nil || !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("%q becomes %q: we read %v, encoding/json %v, %v", data, out, ours, theirs, err)
		}
	})
}

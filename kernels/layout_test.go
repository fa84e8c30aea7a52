package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/ingot-llm/ingot/quant"
)

// mirrors are the structs that Go and C share.
var mirrors = map[string]any{
	"ingot_operand": nativeOperand{}, "ingot_instr": Instr{}, "ingot_batch": nativeBatch{},
	"ingot_run_args": runArgs{}, "ingot_open_args": openArgs{},
	"ingot_pack_size_args": packSizeArgs{}, "ingot_repack_args": repackArgs{}, "ingot_limits_args": limitsArgs{},
	"ingot_adamw_args": adamwArgs{}, "ingot_squares_args": squaresArgs{},
	"ingot_row": nativeRow{}, "ingot_read_rows_args": readRowsArgs{},
}

// constants are the numbers that Go and C share.
func constants() map[string]int {
	c := map[string]int{
		"INGOT_ABI": abi, "INGOT_BLOCK_TOKENS": BlockTokens, "INGOT_STRIP": Strip, "INGOT_OPS": len(ops), "INGOT_TABLES": len(tableNames),
		"INGOT_PACK_BF16": int(PackBF16), "INGOT_PACK_INT8": int(PackInt8), "INGOT_I32": int(quant.I32), "INGOT_INTERLEAVED": int(interleaved),
		"INGOT_FIXED": int(Fixed), "INGOT_PER_TOKEN": int(PerToken), "INGOT_PER_LOGIT": int(PerLogit), "INGOT_PER_SEQ": int(PerSeq),
		"INGOT_ERR_ABI": -1, "INGOT_ERR_MEMORY": -2, "INGOT_ERR_OP": -3, "INGOT_ERR_TABLE": 1 - len(nativeErrors),
	}
	for _, d := range nativeTypes {
		c["INGOT_"+d.String()] = int(d)
	}
	for _, o := range ops {
		c["INGOT_OP_"+strings.ToUpper(o.name)] = int(o.code)
	}
	for id, name := range tableNames {
		c["INGOT_TABLE_"+strings.ToUpper(name)] = id
	}
	for bit, name := range featureNames {
		c["INGOT_FEATURE_"+strings.ToUpper(name)] = 1 << bit
	}
	return c
}

// TestLayout compares the size of every shared struct, the offset of every field and
// the value of every constant with what a C compiler makes of csrc/ingot.h.
func TestLayout(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is absent: the layout of the boundary's structs is not checked")
	}
	var lines, want []string
	expect := func(expression string, value int) {
		lines = append(lines, fmt.Sprintf("\tprintf(\"%%s %%lld\\n\", %q, (long long)(%s));", expression, expression))
		want = append(want, fmt.Sprintf("%s %d", expression, value))
	}
	for name, mirror := range mirrors {
		typ := reflect.TypeOf(mirror)
		expect("sizeof("+name+")", int(typ.Size()))
		for i := range typ.NumField() {
			if f := typ.Field(i); f.Name != "_" {
				expect(fmt.Sprintf("offsetof(%s, %s)", name, snake(f.Name)), int(f.Offset))
				expect(fmt.Sprintf("sizeof(((%s *)0)->%s)", name, snake(f.Name)), int(f.Type.Size()))
			}
		}
	}
	for name, value := range constants() {
		expect(name, value)
	}
	got := strings.Split(strings.TrimSpace(runC(t, gcc, lines)), "\n")
	if !slices.Equal(got, want) {
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Errorf("C has %v, Go has %q", got[min(i, len(got)-1)], want[i])
			}
		}
	}
}

func runC(t *testing.T, gcc string, lines []string) string {
	header, err := filepath.Abs("csrc/ingot.h")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "layout.c")
	text := fmt.Sprintf("#include <stdio.h>\n#include %q\nint main(void) {\n%s\n}\n", header, strings.Join(lines, "\n"))
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "layout")
	if out, err := exec.Command(gcc, "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// snake turns rowStart into row_start.
func snake(name string) string {
	var s strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			s.WriteByte('_')
		}
		s.WriteRune(unicode.ToLower(r))
	}
	return s.String()
}

package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/ingot-llm/ingot/quant"
)

// AdamW is one step of AdamW (Loshchilov & Hutter 2019) over n elements, in native
// memory. With g = Scale * Grad, at step t from 1,
//
//	m = Beta1 m + (1-Beta1) g        v = Beta2 v + (1-Beta2) g^2
//	Master = Master (1 - LR Decay) - LR (m / (1-Beta1^t)) / (sqrt(v / (1-Beta2^t)) + Eps)
//
// then Grad is 0 and Rounded, where it is not nil, Master in bf16, half to even.
type AdamW struct {
	Master, M, V, Grad    []float32
	Rounded               []uint16
	LR, Beta1, Beta2, Eps float64
	Decay, Scale          float64
	Step                  int
}

// updateChunk is how many elements the optimizer takes at once: UPDATE_CHUNK.
const updateChunk = 65536

// AdamW makes the step. One caller at a time for the same memory.
func (t *Table) AdamW(a AdamW) {
	if t.lib == nil {
		a.reference()
		return
	}
	args := adamwArgs{
		lib: t.lib.handle, master: address(a.Master), m: address(a.M), v: address(a.V), grad: address(a.Grad),
		rounded: address(a.Rounded), n: int64(len(a.Master)), table: t.id,
		lr: float32(a.LR), beta1: float32(a.Beta1), beta2: float32(a.Beta2), eps: float32(a.Eps), decay: float32(a.Decay), scale: float32(a.Scale),
		correct1: a.correction(a.Beta1), correct2: a.correction(a.Beta2),
	}
	pooledOnce(t.lib, t.lib.adamw, &args)
}

func (a *AdamW) correction(beta float64) float32 {
	return float32(1 / (1 - math.Pow(beta, float64(a.Step))))
}

func (a *AdamW) reference() {
	b1, b2, keep, lr := float32(a.Beta1), float32(a.Beta2), 1-float32(float32(a.LR)*float32(a.Decay)), float32(a.LR)
	c1, c2, scale, eps := a.correction(a.Beta1), a.correction(a.Beta2), float32(a.Scale), float32(a.Eps)
	for i, g := range a.Grad {
		g *= scale
		m := float32(b1*a.M[i]) + float32((1-b1)*g)
		v := float32(b2*a.V[i]) + float32((1-b2)*float32(g*g))
		a.M[i], a.V[i], a.Grad[i] = m, v, 0
		step := float32(m*c1) / (float32(math.Sqrt(float64(float32(v*c2)))) + eps)
		a.Master[i] = float32(a.Master[i]*keep) - float32(lr*step)
	}
	if a.Rounded != nil {
		quant.F32sToBF16s(a.Rounded, a.Master)
	}
}

// SumSquares returns the sum of the squares of x in native memory: in 16 lanes within
// chunks of 65,536 elements, whose sums are added in f64 in order.
func (t *Table) SumSquares(x []float32) float64 {
	if t.lib == nil {
		return sumSquares(x)
	}
	args := squaresArgs{lib: t.lib.handle, x: address(x), n: int64(len(x)), table: t.id}
	pooledOnce(t.lib, t.lib.squares, &args)
	return args.sum
}

func sumSquares(x []float32) (sum float64) {
	for len(x) > 0 {
		n := min(len(x), updateChunk)
		sum += float64(dot(x[:n], x[:n]))
		x = x[n:]
	}
	return sum
}

// argsBytes is more than any function's arguments take.
const argsBytes = 4096

// pooledOnce runs a function of the pool on a copy of args in native memory, and copies
// the result back. The arguments are right by construction: a refusal is a bug.
func pooledOnce[T number](l *Library, fn uintptr, args *T) {
	l.running.Lock()
	defer l.running.Unlock()
	in := &view[T](l.args.Bytes(), 1)[0]
	*in = *args
	if code := call(fn, unsafe.Pointer(in)); code != 0 {
		panic(fmt.Sprintf("BUG: %v", nativeError(code)))
	}
	*args = *in
}

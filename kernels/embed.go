package kernels

// Where EMBED takes the number of the row from.
const (
	embedTokens    = 0 // the token's id
	embedPositions = 1 // its position
	embedFirst     = 2 // always row 0
)

// EMBED: out0 [T, D] = dequantized row of W, times scale.
//
//	in0 W [V, D] of any type ; i0 source of the row ; f0 scale
//
// A row outside the table is refused before the call (Batch).
var opEmbed = register(op{name: "embed", code: 0, ref: embedRef})

func init() { opEmbed.grad = embedGrad }

func embedRef(s *step, in *Instr) {
	for t := range s.batch.Tokens {
		y := s.row(in.Out[0], t)
		s.dequantize(y, in.In[0], s.embedRow(in.I[0], t))
		for d := range y {
			y[d] *= in.F[0]
		}
	}
}

func (s *step) embedRow(source int32, t int) int {
	switch source {
	case embedTokens:
		return int(s.batch.Tokens[t])
	case embedPositions:
		return int(s.batch.Positions[t])
	}
	return 0
}

// Embed returns the tokens' rows of w [V, D] times scale, [T, D], plus Training.Noise.
func (b *Builder) Embed(w Tensor, scale float32) Value {
	x := b.embed(w, embedTokens, scale)
	if b.grads == nil || b.grads.Noise == nil {
		return x
	}
	noise := Operand{Name: "noise", Kind: Gradient, Per: PerToken, Rows: 1, Cols: w.Cols(), Data: bytesOf(b.grads.Noise)}
	return b.Add(x, b.add(noise), 1)
}

// EmbedPositions returns the positions' rows of w [P, D], [T, D]: learned positions.
func (b *Builder) EmbedPositions(w Tensor) Value { return b.embed(w, embedPositions, 1) }

// EmbedRow0 returns row 0 of w [N, D] for every token, [T, D]: BERT's token type 0.
func (b *Builder) EmbedRow0(w Tensor) Value { return b.embed(w, embedFirst, 1) }

func (b *Builder) embed(w Tensor, source int32, scale float32) Value {
	if w.Data == nil || len(w.Shape) != 2 {
		misfit("embed: %s has shape %v, want two dimensions", w.Name, w.Shape)
	}
	table := b.readable(w)
	y := b.add(Operand{Kind: Activation, Per: PerToken, Rows: 1, Cols: w.Cols()})
	b.emit(opEmbed, Instr{Out: results(y), In: reads(table), I: [8]int32{source}, F: [4]float32{scale}})
	return y
}

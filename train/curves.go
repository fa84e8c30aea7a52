package train

import (
	"github.com/ingot-llm/ingot/train/board"
	"github.com/ingot-llm/ingot/train/tensorboard"
)

// eventsFolder is where a run's folder has the files that TensorBoard reads.
const eventsFolder = "tensorboard"

// curves notes a step for TensorBoard.
func (m *monitor) curves(r record) error {
	values := []tensorboard.Scalar{{Tag: "train/learning_rate", Value: r.Share * m.rate}, {Tag: "train/tokens_per_second", Value: r.TokensPerSecond}}
	if !r.Skipped { // then they may have been no numbers
		values = append(values, tensorboard.Scalar{Tag: "train/loss", Value: r.Loss}, tensorboard.Scalar{Tag: "train/grad_norm", Value: r.Norm})
	}
	if r.MFU > 0 {
		values = append(values, tensorboard.Scalar{Tag: "train/mfu", Value: r.MFU})
	}
	return m.events.Scalars(r.Step, values...)
}

// evaluated notes an evaluation for TensorBoard.
func (m *monitor) evaluated(e board.Evaluation) error {
	var values []tensorboard.Scalar
	if e.Loss > 0 {
		values = append(values, tensorboard.Scalar{Tag: "validation/loss", Value: e.Loss})
	}
	if e.BitsPerByte > 0 {
		values = append(values, tensorboard.Scalar{Tag: "validation/bits_per_byte", Value: e.BitsPerByte})
	}
	if len(values) > 0 {
		if err := m.events.Scalars(e.Step, values...); err != nil {
			return err
		}
	}
	return m.events.Text(e.Step, "sample", e.Sample)
}

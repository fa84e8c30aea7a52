package train

import (
	"github.com/ingot-llm/ingot/kernels"
	"github.com/ingot-llm/ingot/quant"
	"github.com/ingot-llm/ingot/train/param"
)

// network is what programs are built from, and what of it is trained.
type network struct {
	source  quant.Source // the model: set itself, or the base of the adapter
	set     *param.Set   // what is trained
	adapter *adapter     // over source, whose parameters are set; nil where set is the model
}

// wholly is a network all of whose parameters are trained.
func wholly(set *param.Set) network { return network{source: set, set: set} }

// kv returns the type in which keys and values are kept: that of the products.
func (n network) kv() kernels.KVType {
	if n.set.Precision() == param.F32 {
		return kernels.KVF32
	}
	return kernels.KVBF16
}

// lowRank returns what kernels.Builder.Adapt asks for, nil without an adapter.
func (n network) lowRank() func(kernels.Tensor) kernels.LowRank {
	if n.adapter == nil {
		return nil
	}
	return n.adapter.lowRank
}

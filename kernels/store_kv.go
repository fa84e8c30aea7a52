package kernels

// STORE_KV: the keys and values of every row go to its slot in the layer's cache.
//
//	in0 k [T, KVH*Dk] ; in1 v [T, KVH*Dv] ; in2 K cache ; in3 V cache ; i0 KVH, i1 Dk, i2 Dv
//
// The caches' layout is KVLayout's. F32 is copied; BF16 rounds half to even; Q8_0, per
// token and 32 dimensions (the last group may be shorter):
//
//	d = f16(absmax / 127)    q = round half to even (x * (1/d)), 0 where d is 0
//
// and the value is d*q. The same bits in every table.
var opStoreKV = register(op{name: "store_kv", code: 8, ref: storeKVRef})

func storeKVRef(s *step, in *Instr) {
	heads := int(in.I[0])
	for t, slot := range s.batch.Slots {
		block, j := int(slot/BlockTokens), int(slot%BlockTokens)
		storeHeads(s, in.In[2], block, heads, keyLayout(int(in.I[1])), j, s.row(in.In[0], t))
		storeHeads(s, in.In[3], block, heads, valueLayout(int(in.I[2])), j, s.row(in.In[1], t))
	}
}

func storeHeads(s *step, cache int32, block, heads int, l headLayout, j int, x []float32) {
	kv := kvTypeOf(s.operands[cache].DType)
	data, size := s.raw(cache, block), kv.headBytes(l.dims)
	for h := range heads {
		kv.store(data[h*size:][:size], l, j, x[h*l.dims:][:l.dims])
	}
}

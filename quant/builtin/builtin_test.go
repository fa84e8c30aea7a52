package builtin

import "testing"

// TestOpen: the model is whole, small enough to be carried, and comes with all that
// serving needs.
func TestOpen(t *testing.T) {
	if len(file) > 12<<20 {
		t.Errorf("the model has %d bytes, more than the 12 MiB that the program may grow by", len(file))
	}
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Meta().Need("general.architecture", "tokenizer.ggml.model", "tokenizer.chat_template"); err != nil {
		t.Error(err)
	}
	for _, info := range s.Infos() {
		if x, err := s.Tensor(info.Name); err != nil || len(x.Data) == 0 {
			t.Errorf("%s: %v", info.Name, err)
		}
	}
	s.(interface{ Release() }).Release()
	if x, err := s.Tensor("output_norm.weight"); err != nil || x.Data[0] == 0 && x.Data[1] == 0 && x.Data[2] == 0 && x.Data[3] == 0 {
		t.Errorf("after a release the weights are gone (%v)", err)
	}
}

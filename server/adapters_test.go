package server

import (
	"strings"
	"testing"
)

// TestAdapters: an adapter is a model of its own name, whose requests reach the engine
// with it and whose answers bear the name, streamed or not.
func TestAdapters(t *testing.T) {
	fake := newFake()
	h := start(t, fake, func(_ *Config, m *Model) { m.Info.Adapters = []string{"poet", "clerk"} })
	list := h.do("GET", "/v1/models", "").body
	for _, want := range []string{`"id":"fake"`, `"id":"poet"`, `"id":"clerk"`, `"parent":"fake"`} {
		if !strings.Contains(list, want) {
			t.Errorf("the list of models has no %s: %s", want, list)
		}
	}
	if strings.Count(list, "parent") != 2 {
		t.Errorf("not only the adapters have a parent: %s", list)
	}
	if card := h.do("GET", "/v1/models/poet", ""); card.status != 200 || !strings.Contains(card.body, `"id":"poet"`) {
		t.Errorf("GET /v1/models/poet: %d %s", card.status, card.body)
	}
	for path, body := range map[string]string{
		"/v1/completions":      `"prompt":"a"`,
		"/v1/chat/completions": `"messages":[{"role":"user","content":"a"}]`,
	} {
		for name, adapter := range map[string]string{"fake": "", "poet": "poet", "clerk": "clerk"} {
			for _, stream := range []string{"", `,"stream":true`} {
				a := h.post(path, `{"model":"`+name+`",`+body+stream+`}`)
				if got := fake.last().Adapter; a.status != 200 || got != adapter {
					t.Errorf("%s of %s: %d, the engine got the adapter %q", path, name, a.status, got)
				}
				if !strings.Contains(a.body, `"model":"`+name+`"`) || strings.Count(a.body, `"model":"`) != strings.Count(a.body, `"model":"`+name+`"`) {
					t.Errorf("%s of %s answers %s", path, name, a.body)
				}
			}
		}
		if a := h.post(path, `{`+body+`}`); a.status != 200 || fake.last().Adapter != "" {
			t.Errorf("%s without a model: %d, adapter %q", path, a.status, fake.last().Adapter)
		}
		if a := h.post(path, `{"model":"nobody",`+body+`}`); a.status != 404 {
			t.Errorf("%s of an unknown model: %d", path, a.status)
		}
	}
}

// TestAdapterNames: a name that the model has already is refused at start.
func TestAdapterNames(t *testing.T) {
	m := fakeModel(t, newFake())
	m.Info.Adapters = []string{m.Info.ID}
	if _, err := New(DefaultConfig(), m, nil); err == nil || !strings.Contains(err.Error(), "--lora") {
		t.Errorf("an adapter of the model's name gives %v", err)
	}
}

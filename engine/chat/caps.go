package chat

import (
	"errors"
	"strings"
	"time"

	"github.com/ingot-llm/ingot/engine/chat/jinja"
)

// Caps are the facts about a template that decide which requests it can serve. They are found
// by rendering small conversations and looking for marker words in the text.
type Caps struct {
	SystemRole       bool // system messages appear in the prompt
	Tools            bool // offered tools appear
	ToolCalls        bool // tool calls of the assistant appear
	ParallelCalls    bool // two tool calls in one message appear
	ToolResults      bool // messages of role tool appear
	ObjectArguments  bool // arguments of tool calls are taken as objects rather than as JSON text
	ContentParts     bool // content may be a list of text parts
	EnableThinking   bool // the variable enable_thinking changes the prompt
	ReasoningContent bool // reasoning_content of the last assistant turn appears
}

// The conversations of the trial renderings. Words in capitals are looked for in the text.
const (
	probeUser   = `{"role":"user","content":"USERWORD"}`
	probeSystem = `{"role":"system","content":"SYSTEMWORD"}`
	probeTools  = `[{"type":"function","function":{"name":"TOOLWORD","description":"d","parameters":{"type":"object","properties":{"ARGWORD":{"type":"string","description":"d"}},"required":["ARGWORD"]}}}]`
	probeParts  = `{"role":"user","content":[{"type":"text","text":"PARTWORD"}]}`
	probeThink  = `{"role":"assistant","content":"ANSWER","reasoning_content":"REASONWORD"}`
	probeResult = `{"role":"tool","tool_call_id":"call00001","name":"TOOLWORD","content":"RESULTWORD"}`
)

// probeCall is an assistant message with a call of each name.
func probeCall(content, arguments string, names ...string) string {
	var calls []string
	for i, name := range names {
		calls = append(calls, `{"id":"call0000`+string(rune('1'+i))+`","type":"function","function":{"name":"`+name+`","arguments":`+arguments+`}}`)
	}
	return `{"role":"assistant","content":` + content + `,"tool_calls":[` + strings.Join(calls, ",") + `]}`
}

const (
	objectArguments = `{"ARGWORD":"VALUEWORD"}`
	textArguments   = `"{\"ARGWORD\":\"VALUEWORD\"}"`
)

// probe fills the facts about the template in f.
func (f *Format) probe() {
	var raise *jinja.RaiseError
	if _, err := f.trial("", "", probeUser); err != nil && !errors.As(err, &raise) {
		f.toolsOmitted = true
	}
	c := &f.caps
	c.SystemRole = f.shows("", "SYSTEMWORD", probeSystem, probeUser)
	c.ContentParts = f.showsClean("PARTWORD", probeParts)
	c.Tools = f.shows(probeTools, "TOOLWORD", probeUser)
	c.ReasoningContent = f.shows("", "REASONWORD", probeUser, probeThink)
	c.EnableThinking = f.thinkingSwitch()
	f.probeCalls()
}

func (f *Format) probeCalls() {
	c := &f.caps
	object := f.callText(`""`, objectArguments)
	text := f.callText(`""`, textArguments)
	// A template that writes objects as JSON writes text with its quotes escaped. One that
	// joins strings fails for objects or prints them as Python does.
	c.ObjectArguments = strings.Contains(object, "VALUEWORD") && !strings.Contains(object, "'ARGWORD'")
	arguments := textArguments
	if c.ObjectArguments {
		arguments = objectArguments
	}
	c.ToolCalls = strings.Contains(object, "CALLWORD") || strings.Contains(text, "CALLWORD")
	two := probeCall(`""`, arguments, "CALLWORD", "OTHERWORD")
	c.ParallelCalls = f.shows(probeTools, "OTHERWORD", probeUser, two, probeResult)
	c.ToolResults = f.shows(probeTools, "RESULTWORD", probeUser, probeCall(`""`, arguments, "CALLWORD"), probeResult)
	null, err := f.trial(probeTools, "", probeUser, probeCall("null", arguments, "CALLWORD"), probeResult)
	f.emptyContent = err != nil || strings.Contains(null, "None")
}

func (f *Format) callText(content, arguments string) string {
	s, _ := f.trial(probeTools, "", probeUser, probeCall(content, arguments, "CALLWORD"), probeResult)
	return s
}

// shows reports whether the rendering of messages succeeds and holds word.
func (f *Format) shows(tools, word string, messages ...string) bool {
	s, err := f.trial(tools, "", messages...)
	return err == nil && strings.Contains(s, word)
}

// showsClean is shows where the content is not printed as a list.
func (f *Format) showsClean(word string, messages ...string) bool {
	s, err := f.trial("", "", messages...)
	return err == nil && strings.Contains(s, word) && !strings.Contains(s, "'"+word) && !strings.Contains(s, `"`+word)
}

func (f *Format) thinkingSwitch() bool {
	on, errOn := f.trial("", `{"enable_thinking":true}`, probeUser)
	off, errOff := f.trial("", `{"enable_thinking":false}`, probeUser)
	return errOn == nil && errOff == nil && on != off
}

// trial renders messages as they are, under a fixed time so that renderings can be compared.
func (f *Format) trial(tools, kwargs string, messages ...string) (string, error) {
	ctx, err := f.context(probeJSON("["+strings.Join(messages, ",")+"]"), probeJSON(tools), probeJSON(kwargs), true)
	if err != nil {
		return "", err
	}
	// A busy machine must not change the outcome, so the wall time is generous.
	return f.tmpl.Render(ctx, jinja.Options{Now: time.Unix(0, 0).UTC(), Limits: jinja.Limits{Wall: 10 * time.Second}})
}

func probeJSON(s string) jinja.Value {
	if s == "" {
		return jinja.None()
	}
	v, err := jinja.FromJSON([]byte(s))
	if err != nil {
		panic("BUG: probe is no JSON: " + err.Error())
	}
	return v
}

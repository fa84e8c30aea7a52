package server

import (
	"bytes"
	"fmt"
	"strconv"
)

// checkMessages holds each message against what its role may have.
func checkMessages(raw []byte) *Error {
	for i, item := range scanElements(raw) {
		at := "messages[" + strconv.Itoa(i) + "]"
		members := scanMembers(item)
		role, err := messageRole(members, at)
		if err == nil {
			err = checkMessage(members, role, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func messageRole(members []member, at string) (string, *Error) {
	raw := memberValue(members, "role")
	if raw == nil || raw[0] != '"' {
		return "", invalid(at+".role", "missing_required_parameter", "%s.role is required", at)
	}
	role := unquote(raw)
	switch role {
	case "system", "developer", "user", "assistant", "tool":
		return role, nil
	}
	return "", invalid(at+".role", "invalid_value", "%s.role must be system, developer, user, assistant or tool, but is %s", at, clip(raw))
}

// memberValue returns a member that is not null, or nil.
func memberValue(members []member, name string) []byte {
	for _, m := range members {
		if m.name == name && m.value[0] != 'n' {
			return m.value
		}
	}
	return nil
}

// checkMessage holds a message's members against what its role may have.
func checkMessage(members []member, role, at string) *Error {
	for _, m := range members {
		if err := checkMember(m, role, at+"."+clip([]byte(m.name))); err != nil {
			return err
		}
	}
	content := memberValue(members, "content")
	calls := memberValue(members, "tool_calls")
	if content == nil && !(role == "assistant" && calls != nil) {
		return invalid(at+".content", "missing_required_parameter", "%s.content is required", at)
	}
	if role == "tool" && memberValue(members, "tool_call_id") == nil {
		return invalid(at+".tool_call_id", "missing_required_parameter", "%s.tool_call_id is required", at)
	}
	return nil
}

func checkMember(m member, role, at string) *Error {
	if m.value[0] == 'n' {
		return nil
	}
	isString := m.value[0] == '"'
	switch m.name {
	case "role":
		return nil
	case "content":
		if isString {
			return nil
		}
		if m.value[0] == '[' {
			return checkParts(m.value, at)
		}
		return invalid(at, "invalid_type", "%s must be a string or an array of text parts", at)
	case "name", "tool_call_id", "reasoning_content", "reasoning":
		if isString {
			return nil
		}
		return invalid(at, "invalid_type", "%s must be a string", at)
	case "tool_calls":
		if role == "assistant" {
			return checkToolCalls(m.value, at)
		}
	case "refusal":
		if role == "assistant" && isString && len(m.value) == 2 {
			return nil
		}
	case "annotations":
		if role == "assistant" && bytes.Equal(compact(m.value), []byte("[]")) {
			return nil
		}
	}
	return invalid(at, "unsupported_parameter", "%s is not supported in a message of the role %s", at, role)
}

func checkToolCalls(raw []byte, at string) *Error {
	if raw[0] != '[' {
		return invalid(at, "invalid_type", "%s must be an array", at)
	}
	for i, item := range scanElements(raw) {
		at := at + "[" + strconv.Itoa(i) + "]"
		if item[0] != '{' {
			return invalid(at, "invalid_type", "%s must be an object", at)
		}
		call := scanMembers(item)
		if t := memberValue(call, "type"); t != nil && string(t) != `"function"` {
			return invalid(at+".type", "unsupported_parameter", "%s.type must be function", at)
		}
		f := memberValue(call, "function")
		if f == nil || f[0] != '{' {
			return invalid(at+".function", "missing_required_parameter", "%s.function must be an object", at)
		}
		function := scanMembers(f)
		for _, name := range []string{"name", "arguments"} {
			v := memberValue(function, name)
			if v == nil || v[0] != '"' && (name == "name" || v[0] != '{') {
				return invalid(at+".function."+name, "missing_required_parameter", "%s.function.%s must be a string", at, name)
			}
		}
	}
	return nil
}

// checkParts refuses content parts other than text.
func checkParts(raw []byte, at string) *Error {
	for i, item := range scanElements(raw) {
		at := fmt.Sprintf("%s[%d]", at, i)
		if item[0] != '{' {
			return invalid(at, "invalid_type", "%s must be an object", at)
		}
		part := scanMembers(item)
		if t := memberValue(part, "type"); t == nil || string(t) != `"text"` {
			return invalid(at+".type", "unsupported_parameter", "%s.type must be text: the model reads nothing else", at)
		}
		text := memberValue(part, "text")
		if text == nil || text[0] != '"' {
			return invalid(at+".text", "missing_required_parameter", "%s.text must be a string", at)
		}
	}
	return nil
}

// checkTools checks the definitions of functions.
func checkTools(items [][]byte) *Error {
	for i, item := range items {
		at := "tools[" + strconv.Itoa(i) + "]"
		tool := scanMembers(item)
		if t := memberValue(tool, "type"); t == nil || string(t) != `"function"` {
			return invalid(at+".type", "unsupported_parameter", "%s.type must be function", at)
		}
		f := memberValue(tool, "function")
		if f == nil || f[0] != '{' {
			return invalid(at+".function", "missing_required_parameter", "%s.function must be an object", at)
		}
		function := scanMembers(f)
		if name := memberValue(function, "name"); name == nil || name[0] != '"' || len(name) == 2 {
			return invalid(at+".function.name", "missing_required_parameter", "%s.function.name must be a string", at)
		}
		if strict := memberValue(function, "strict"); strict != nil && string(strict) != "false" {
			return invalid(at+".function.strict", "unsupported_parameter", "%s.function.strict is not supported: the arguments are not constrained to the schema", at)
		}
	}
	return nil
}

package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Node is a JSON value and where it stands.
type Node struct {
	kind       kind
	value      any // of a leaf: string, int64, json.Number for what is no 64-bit integer, bool, nil
	list       []*Node
	members    []member // in their order
	start, end int      // bytes of text
	text       []byte   // of the whole that it stands in
}

type kind uint8

const (
	kindLeaf kind = iota
	kindList
	kindObject
)

// member is one of an object's.
type member struct {
	name  string
	value *Node
}

// Member finds a member of an object, whatever its case; nil for none.
func (n *Node) Member(name string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if strings.EqualFold(n.members[i].name, name) {
			return n.members[i].value
		}
	}
	return nil
}

// Members names an object's members, in their order.
func (n *Node) Members() []string {
	names := make([]string, len(n.members))
	for i := range n.members {
		names[i] = n.members[i].name
	}
	return names
}

// Value is the node as plain values: map[string]any, []any, string, int64, json.Number, bool, nil.
func (n *Node) Value() any {
	switch {
	case n == nil:
		return nil
	case n.kind == kindObject:
		object := make(map[string]any, len(n.members))
		for _, member := range n.members {
			object[member.name] = member.value.Value()
		}
		return object
	case n.kind == kindList:
		list := make([]any, len(n.list))
		for i, element := range n.list {
			list[i] = element.Value()
		}
		return list
	}
	return n.value
}

// Text is the node's own bytes, as they were read.
func (n *Node) Text() []byte { return n.text[n.start:n.end] }

// detached is the node with a text of its own, so that positions count from its beginning.
func (n *Node) detached() *Node {
	if n.start == 0 {
		return n
	}
	fresh, err := Read(n.Text())
	if err != nil {
		return n // it was read before, so that it can be read
	}
	return fresh
}

// MarshalJSON writes the node as plain JSON, members in their order.
func (n *Node) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := n.write(&b)
	return b.Bytes(), err
}

func (n *Node) write(b *bytes.Buffer) error {
	switch n.kind {
	case kindObject:
		b.WriteByte('{')
		for i, member := range n.members {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeLeaf(b, member.name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := member.value.write(b); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case kindList:
		b.WriteByte('[')
		for i, element := range n.list {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := element.write(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	return writeLeaf(b, n.value)
}

func writeLeaf(b *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	b.Truncate(len(bytes.TrimRight(b.Bytes(), "\n")))
	return err
}

// position is a node's place in its text, both from 1; columns count bytes.
func (n *Node) position() (line, column int) {
	before := n.text[:min(n.start, len(n.text))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// describe says what a value is, for messages.
func (n *Node) describe() string {
	switch n.kind {
	case kindObject:
		return "an object"
	case kindList:
		return "a list"
	}
	return fmt.Sprintf("a value of type %s", typeName(n.value))
}

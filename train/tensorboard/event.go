package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"
)

// event is what an Event says. One of its kinds is set.
type event struct {
	step      int
	version   string // of the file, in its first event
	begins    bool   // a process: events of its step and later ones that came before are void
	scalars   []Scalar
	tag, text string
}

// Numbers of fields, and of values of enumerations, in TensorBoard's protocol buffers.
const (
	eventTime, eventStep, eventVersion, eventSummary, eventSession = 1, 2, 3, 5, 7
	sessionStatus, sessionStart                                    = 1, 1
	summaryValue                                                   = 1
	valueTag, valueScalar, valueTensor, valueMetadata              = 1, 2, 8, 9
	tensorType, tensorShape, tensorStrings, typeString             = 1, 2, 8, 7
	shapeDim, dimSize                                              = 2, 1
	metadataPlugin, pluginName                                     = 1, 1
)

func (e event) encode(now time.Time) (m message) {
	m.double(eventTime, float64(now.UnixMicro())/1e6)
	if e.step > 0 {
		m.varint(eventStep, uint64(e.step))
	}
	switch {
	case e.version != "":
		m.bytes(eventVersion, []byte(e.version))
	case e.begins:
		var session message
		session.varint(sessionStatus, sessionStart)
		m.bytes(eventSession, session)
	case e.tag != "":
		m.bytes(eventSummary, textSummary(e.tag, e.text))
	default:
		m.bytes(eventSummary, scalarSummary(e.scalars))
	}
	return m
}

func scalarSummary(scalars []Scalar) (summary message) {
	for _, s := range scalars {
		var value message
		value.bytes(valueTag, []byte(s.Tag))
		value.float(valueScalar, float32(s.Value))
		summary.bytes(summaryValue, value)
	}
	return summary
}

// textSummary is a tensor of one string for the plugin that shows texts.
func textSummary(tag, text string) (summary message) {
	var dim, shape, tensor, plugin, metadata, value message
	dim.varint(dimSize, 1)
	shape.bytes(shapeDim, dim)
	tensor.varint(tensorType, typeString)
	tensor.bytes(tensorShape, shape)
	tensor.bytes(tensorStrings, []byte(text))
	plugin.bytes(pluginName, []byte("text"))
	metadata.bytes(metadataPlugin, plugin)
	value.bytes(valueTag, []byte(tag))
	value.bytes(valueTensor, tensor)
	value.bytes(valueMetadata, metadata)
	summary.bytes(summaryValue, value)
	return summary
}

// message is a protocol buffer that is being written, field by field.
type message []byte

// Wire types, which stand with a field's number before its value.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m *message) key(field, wire int) { *m = binary.AppendUvarint(*m, uint64(field<<3|wire)) }

func (m *message) varint(field int, v uint64) {
	m.key(field, wireVarint)
	*m = binary.AppendUvarint(*m, v)
}

func (m *message) double(field int, v float64) {
	m.key(field, wireFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, math.Float64bits(v))
}

func (m *message) float(field int, v float32) {
	m.key(field, wireFixed32)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(v))
}

func (m *message) bytes(field int, v []byte) {
	m.key(field, wireBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(v))), v...)
}

// record frames an event.
func record(event []byte) []byte {
	r := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	r = binary.LittleEndian.AppendUint32(r, masked(r))
	r = append(r, event...)
	return binary.LittleEndian.AppendUint32(r, masked(event))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the CRC-32C of data as TFRecord stores it: rotated and moved, since the CRC of
// data that hold a CRC is a weak one.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

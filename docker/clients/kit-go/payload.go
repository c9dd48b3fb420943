package kit

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
)

// The contract's payload: 28 bytes of header, filler, and a CRC-32 over all of it at the end.
//
// The checksum stands last and little-endian, so the CRC-32 of a whole intact payload is one
// constant.
const (
	sizeMin      = 32
	magic        = 0x4b4c4231 // KLB1
	residue      = 0x2144DF1C // CRC-32 of anything followed by its own CRC-32
	valueAt      = 4
	timeAt       = 12
	partitionAt  = 20
	topicAt      = 24
	fillerAt     = 28
	checksumSize = 4
)

var filler = randomBlock(1 << 20)

func randomBlock(size int) []byte {
	block := make([]byte, size)
	for at := 0; at < size; at += 8 {
		binary.LittleEndian.PutUint64(block[at:], rand.Uint64())
	}
	return block
}

// TopicCRC is what a payload says of the topic that it is meant for.
func TopicCRC(topic string) uint32 {
	return crc32.ChecksumIEEE([]byte(topic))
}

// Payload makes a payload of size bytes (at least 32); partition is −1 where the client chooses.
func Payload(value uint64, size int, partition int32, intendedNs int64, topic uint32) []byte {
	data := make([]byte, size)
	binary.BigEndian.PutUint32(data, magic)
	binary.BigEndian.PutUint64(data[valueAt:], value)
	binary.BigEndian.PutUint64(data[timeAt:], uint64(intendedNs))
	binary.BigEndian.PutUint32(data[partitionAt:], uint32(partition))
	binary.BigEndian.PutUint32(data[topicAt:], topic)
	body := data[:size-checksumSize]
	for at := fillerAt; at < len(body); {
		at += copy(body[at:], filler)
	}
	binary.LittleEndian.PutUint32(data[size-checksumSize:], crc32.ChecksumIEEE(body))
	return data
}

// press makes the payloads of a loop. Those of records that follow each other mostly differ in the
// last byte of their value only, and CRC-32 is affine: what that byte changes in the checksum does not
// depend on the rest, so one checksum serves up to 256 payloads.
type press struct {
	template []byte      // a payload without value, time and partition
	lows     [256]uint32 // by the value's last byte
	last     Paced       // what checksum belongs to, its value without the last byte
	checksum uint32
}

const lowAt = timeAt - 1 // the value's last byte

func newPress(size int, topic uint32) *press {
	p := &press{template: Payload(0, size, 0, 0, topic), last: Paced{Partition: math.MinInt32}}
	body := slices.Clone(p.template[:size-checksumSize])
	zero := crc32.ChecksumIEEE(body)
	for bit := range 8 {
		body[lowAt] = 1 << bit
		difference := crc32.ChecksumIEEE(body) ^ zero
		for low := range 1 << bit {
			p.lows[1<<bit|low] = p.lows[low] ^ difference
		}
	}
	return p
}

// payload is what Payload would make.
func (p *press) payload(record *Paced) []byte {
	data := slices.Clone(p.template)
	binary.BigEndian.PutUint64(data[valueAt:], record.Value)
	binary.BigEndian.PutUint64(data[timeAt:], uint64(record.IntendedNs))
	binary.BigEndian.PutUint32(data[partitionAt:], uint32(record.Partition))
	body, low := data[:len(data)-checksumSize], byte(record.Value)
	series := *record
	series.Value &^= 0xff
	if series != p.last {
		p.last = series
		p.checksum = crc32.ChecksumIEEE(body) ^ p.lows[low]
	}
	binary.LittleEndian.PutUint32(data[len(body):], p.checksum^p.lows[low])
	return data
}

// PayloadValue is the value in an intact payload.
func PayloadValue(data []byte) uint64 { return binary.BigEndian.Uint64(data[valueAt:]) }

// PayloadTime is the intended send time in an intact payload; 0 in operations mode.
func PayloadTime(data []byte) int64 { return int64(binary.BigEndian.Uint64(data[timeAt:])) }

func payloadPartition(data []byte) int32 {
	return int32(binary.BigEndian.Uint32(data[partitionAt:]))
}

func payloadTopic(data []byte) uint32 { return binary.BigEndian.Uint32(data[topicAt:]) }

// isPayload tells whether something begins as a payload does, whatever its checksum.
func isPayload(data []byte) bool {
	return len(data) >= 4 && binary.BigEndian.Uint32(data) == magic
}

// problem is what is wrong with a payload, "" when nothing is.
func problem(data []byte) string {
	switch {
	case data == nil:
		return "null-value"
	case len(data) < sizeMin:
		return "short"
	case !isPayload(data):
		return "foreign"
	case crc32.ChecksumIEEE(data) != residue:
		return "checksum"
	}
	return ""
}

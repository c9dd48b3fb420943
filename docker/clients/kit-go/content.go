package kit

import (
	"strconv"
)

// Header is a header of a record; a null value is nil.
type Header struct {
	Name  string
	Value []byte
}

// Message is a record as a client reads or writes it: nil is null, an empty slice is no bytes.
type Message struct {
	Key, Value []byte
	Headers    []Header
}

// Record is one record of a send.
type Record struct {
	Partition *int32 // nil: the client chooses
	Value     uint64
	Size      int
	content   *content
}

type content struct {
	Key     *string   `json:"key"`
	Value   *string   `json:"value"`
	Headers []rawPart `json:"headers"`
}

type rawPart struct {
	name string
	part *string
}

func (p *rawPart) UnmarshalJSON(data []byte) error {
	return tuple(data, &p.name, &p.part)
}

// UnmarshalJSON reads [partition or null, value, size] and, where it is given, a fourth member.
func (r *Record) UnmarshalJSON(data []byte) error {
	if r.plain(data) {
		return nil
	}
	payload := "payload"
	r.content = &content{Value: &payload}
	return tuple(data, &r.Partition, &r.Value, &r.Size, r.content)
}

// plain reads three numbers by hand; the lab sends many.
func (r *Record) plain(data []byte) bool {
	var numbers [3]uint64
	null := false
	at := 1 // behind the bracket
	for index := range numbers {
		for at < len(data) && data[at] == ' ' {
			at++
		}
		begin := at
		for at < len(data) && data[at] >= '0' && data[at] <= '9' {
			numbers[index] = numbers[index]*10 + uint64(data[at]-'0')
			at++
		}
		if digits := at - begin; digits == 0 || digits > 19 {
			if index > 0 || string(data[at:min(at+4, len(data))]) != "null" {
				return false
			}
			null = true
			at += len("null")
		}
		if at >= len(data) || (data[at] != ',' && (index < 2 || data[at] != ']')) {
			return false
		}
		at++
	}
	if at != len(data) || numbers[0] > 1<<31-1 || numbers[2] > 1<<31-1 {
		return false
	}
	if partition := int32(numbers[0]); !null {
		r.Partition = &partition
	}
	r.Value, r.Size = numbers[1], int(numbers[2])
	return true
}

// Records are the records of a send.
func (c *Command) Records() ([]Record, error) {
	var records []Record
	if err := c.Into("records", &records); err != nil {
		return nil, err
	}
	for _, record := range records {
		if record.Size < sizeMin {
			return nil, Refusef("size_bytes: expected at least %d, found %d", sizeMin, record.Size)
		}
	}
	return records, nil
}

// Message is what to write for a record; topic is the [TopicCRC] of where it goes.
func (r *Record) Message(topic uint32) Message {
	partition := int32(-1)
	if r.Partition != nil {
		partition = *r.Partition
	}
	payload := Payload(r.Value, r.Size, partition, 0, topic)
	if r.content == nil {
		return Message{Value: payload}
	}
	message := Message{
		Key:   part(r.content.Key, payload),
		Value: part(r.content.Value, payload),
	}
	for _, each := range r.content.Headers {
		message.Headers = append(message.Headers, Header{each.name, part(each.part, payload)})
	}
	return message
}

// part is what a part of a record stands for: each character is one byte.
func part(text *string, payload []byte) []byte {
	switch {
	case text == nil:
		return nil
	case *text == "payload":
		return payload
	}
	data := make([]byte, 0, len(*text))
	for _, char := range *text {
		data = append(data, byte(char))
	}
	return data
}

// Rows collects polled records in the contract's form. The zero value is empty.
type Rows struct {
	Count int
	json  []byte
}

// Add appends one record.
func (r *Rows) Add(topic string, partition int32, offset int64, message *Message) {
	payload := message.payload()
	wrong := problem(payload)
	line := append(r.json, ',', '[')
	line = appendString(line, topic)
	line = append(line, ',')
	line = strconv.AppendInt(line, int64(partition), 10)
	line = append(line, ',')
	line = strconv.AppendInt(line, offset, 10)
	line = append(line, ',')
	readable := wrong == "" || wrong == "checksum"
	if readable {
		line = strconv.AppendUint(line, PayloadValue(payload), 10)
	} else {
		line = append(line, "null"...)
	}
	line = append(line, ',')
	line = strconv.AppendInt(line, int64(len(message.Value)), 10)
	line = append(line, ',')
	if wrong == "" {
		line = append(line, "null"...)
	} else {
		line = appendString(line, wrong)
	}
	line = append(line, ',')
	if readable {
		line = strconv.AppendInt(line, int64(payloadPartition(payload)), 10)
		line = append(line, ',')
		line = strconv.AppendUint(line, uint64(payloadTopic(payload)), 10)
	} else {
		line = append(line, "-1,null"...)
	}
	r.json = append(message.appendContent(line), ']')
	r.Count++
}

// JSON is the list of all that was added.
func (r *Rows) JSON() JSON {
	if r.Count == 0 {
		return JSON("[]")
	}
	r.json[0] = '['
	return append(JSON(r.json), ']')
}

// payload is the first payload found in value, key, headers, else the value.
func (m *Message) payload() []byte {
	if isPayload(m.Value) || (m.Key == nil && len(m.Headers) == 0) {
		return m.Value
	}
	if isPayload(m.Key) {
		return m.Key
	}
	for _, header := range m.Headers {
		if isPayload(header.Value) {
			return header.Value
		}
	}
	return m.Value
}

// appendContent adds what a record has beside a payload as its value.
func (m *Message) appendContent(line []byte) []byte {
	if m.Key == nil && len(m.Headers) == 0 && isPayload(m.Value) {
		return line
	}
	line = append(line, `,{"key":`...)
	line = appendPart(line, m.Key)
	line = append(line, `,"value":`...)
	line = appendPart(line, m.Value)
	line = append(line, `,"headers":[`...)
	for index, header := range m.Headers {
		if index > 0 {
			line = append(line, ',')
		}
		line = append(line, '[')
		line = appendString(line, header.Name)
		line = append(line, ',')
		line = appendPart(line, header.Value)
		line = append(line, ']')
	}
	return append(line, ']', '}')
}

func appendPart(line, data []byte) []byte {
	switch {
	case data == nil:
		return append(line, "null"...)
	case isPayload(data):
		return append(line, `"payload"`...)
	}
	text := make([]rune, len(data))
	for index, each := range data {
		text[index] = rune(each)
	}
	return appendString(line, string(text))
}

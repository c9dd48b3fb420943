package main

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// batch are the records of one send command.
type batch struct {
	mu      sync.Mutex
	results []result
	waiting int
	done    chan struct{}
}

type result struct {
	outcome   kit.Outcome // "" until it is known
	partition int32       // −1 where it is not known
	offset    int64       // −1 where the client does not say it
	err       error
}

func newBatch(size int) *batch {
	return &batch{results: make([]result, size), waiting: size, done: make(chan struct{})}
}

func (b *batch) acked(record *handed) {
	b.end(record.index, result{kit.OK, record.Partition, record.Offset, nil})
}

func (b *batch) failed(record *handed, err error) {
	partition := int32(-1)
	if record.placed {
		partition = record.Partition
	}
	b.end(record.index, result{outcomeOfSend(err), partition, -1, err})
}

func (b *batch) end(index int, with result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.results[index].outcome != "" {
		return // it was given up
	}
	b.results[index] = with
	if b.waiting--; b.waiting == 0 {
		close(b.done)
	}
}

func (p *producer) send(c *kit.Command) (kit.Fields, error) {
	topic, err := c.Text("topic")
	if err != nil {
		return nil, err
	}
	records, err := c.Records()
	if err != nil {
		return nil, err
	}
	b := newBatch(len(records))
	if len(records) == 0 {
		return b.completion()
	}
	crc := kit.TopicCRC(topic)
	for index := range records {
		record := native(topic, &records[index], crc)
		record.by, record.index = b, index
		if !p.hand(p.session.Context(), record) {
			b.end(index, result{kit.Fail, -1, -1, errClosing}) // sarama has not seen it
		}
	}
	select {
	case <-b.done:
		return b.completion()
	case <-p.session.Context().Done():
	}
	p.asyncClose()
	select {
	case <-b.done:
	case <-p.reported:
	case <-time.After(time.Until(p.session.CloseBy())):
	}
	return b.completion()
}

// native is a record as sarama takes it. Its offset is −1 until sarama says another.
func native(topic string, record *kit.Record, crc uint32) *handed {
	content := record.Message(crc)
	message := &handed{placed: record.Partition != nil}
	message.Topic, message.Offset = topic, -1
	if record.Partition != nil {
		message.Partition = *record.Partition
	}
	if content.Key != nil {
		message.Key = sarama.ByteEncoder(content.Key)
	}
	if content.Value != nil {
		message.Value = sarama.ByteEncoder(content.Value)
	}
	for _, header := range content.Headers {
		message.Headers = append(
			message.Headers, sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
	}
	return message
}

// completion gives the results in the contract's form; what was not reported is unknown.
func (b *batch) completion() (kit.Fields, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := []byte("[")
	counts := map[kit.Outcome]int{}
	var first error
	for index := range b.results {
		each := &b.results[index]
		if each.outcome == "" {
			*each = result{kit.Info, -1, -1, errClosing}
		}
		counts[each.outcome]++
		if first == nil {
			first = each.err
		}
		if index > 0 {
			rows = append(rows, ',')
		}
		rows = each.append(rows)
	}
	fields := kit.Fields{"results": kit.JSON(append(rows, ']'))}
	switch len(b.results) {
	case counts[kit.OK]:
		return fields, nil
	case counts[kit.Fail]:
		return nil, &kit.Ended{Outcome: kit.Fail, Err: first, Fields: fields}
	}
	return nil, &kit.Ended{Outcome: kit.Info, Err: first, Fields: fields}
}

func (r *result) append(rows []byte) []byte {
	rows = append(rows, '[', '"')
	rows = append(rows, r.outcome...)
	rows = append(rows, '"', ',')
	for _, number := range []int64{int64(r.partition), r.offset} {
		if number < 0 {
			rows = append(rows, "null,"...)
		} else {
			rows = append(strconv.AppendInt(rows, number, 10), ',')
		}
	}
	if r.err == nil {
		return append(rows, "null]"...)
	}
	encoded, _ := json.Marshal(describe(r.err)) // strings and truths always encode
	return append(append(rows, encoded...), ']')
}

package main

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// batch are the records of one send command.
type batch struct {
	p       *producer
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

// promise is what kgo calls for each record, one after the other.
func (b *batch) promise(record *kgo.Record, err error) {
	ticket := ticketOf(record)
	switch {
	case err != nil && ticket.placed:
		b.end(ticket.index, result{outcomeOfSend(err), record.Partition, -1, err})
	case err != nil:
		b.end(ticket.index, result{outcomeOfSend(err), -1, -1, err})
	case b.p.acks0: // its offset is that in the request
		b.end(ticket.index, result{kit.OK, record.Partition, -1, nil})
	default:
		b.p.added.Store(true)
		b.end(ticket.index, result{kit.OK, record.Partition, record.Offset, nil})
	}
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
	var linger bool
	if err := c.Into("linger", &linger); err != nil {
		return nil, err
	}
	b := &batch{
		p: p, results: make([]result, len(records)), waiting: len(records), done: make(chan struct{}),
	}
	if len(records) == 0 {
		return b.completion()
	}
	crc := kit.TopicCRC(topic)
	for index := range records {
		if p.session.Closing() {
			b.end(index, result{kit.Fail, -1, -1, errClosing}) // kgo has not seen it
			continue
		}
		record := native(topic, &records[index], crc)
		record.ticket.index = index
		p.hand(record, b.promise)
	}
	if !linger {
		// ends early with the close only; what becomes of the records is in their promises
		_ = p.native.Load().Flush(p.session.Context())
	}
	b.wait()
	return b.completion()
}

// wait until kgo has kept all promises, or is closed.
func (b *batch) wait() {
	select {
	case <-b.done:
		return
	case <-b.p.shut.Done():
	}
	select {
	case <-b.done:
	case <-time.After(grace):
	}
}

// native is a record as kgo takes it.
func native(topic string, record *kit.Record, crc uint32) *handed {
	content := record.Message(crc)
	message := &handed{ticket: ticket{placed: record.Partition != nil}}
	message.Topic, message.Partition = topic, anywhere
	if record.Partition != nil {
		message.Partition = *record.Partition
	}
	message.Key, message.Value = content.Key, content.Value
	for _, header := range content.Headers {
		message.Headers = append(
			message.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
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

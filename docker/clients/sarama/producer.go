package main

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// producer is the producer role. sarama reports each record on one of two channels; whoever handed
// it over is in its Metadata.
type producer struct {
	session *kit.Session
	calls
	native   sarama.AsyncProducer
	registry registry
	held     atomic.Int64  // handed over and not yet reported
	closing  sync.Once     // AsyncClose
	reported chan struct{} // closed when sarama has closed both channels
	mu       sync.Mutex    // native while an interrupted open goes on
	closed   bool
}

// sender handed over a record and wants to know what became of it.
type sender interface {
	acked(*sarama.ProducerMessage)
	failed(*sarama.ProducerMessage, error)
	placed() bool // the record's partition was given
}

func newProducer(session *kit.Session) kit.Client {
	return &producer{session: session, calls: calls{session: session}, registry: newRegistry()}
}

func (p *producer) Do(c *kit.Command) (kit.Fields, error) {
	switch c.Op {
	case "open":
		return nil, p.open(c)
	case "send":
		return p.send(c)
	case "txn":
		return nil, p.txn(c)
	case "produce":
		return p.produce(c)
	}
	return nil, kit.Refusef("%s: not an operation of a producer", c.Op)
}

func (p *producer) open(c *kit.Command) error {
	s, err := configure("producer", c)
	if err != nil {
		return err
	}
	if !s.Producer.Return.Errors {
		return kit.Refusef("option 'Producer.Return.Errors': the driver needs what it returns")
	}
	s.Producer.Return.Successes = true
	s.Producer.Partitioner = place(s.Producer.Partitioner)
	s.MetricRegistry = p.registry
	return p.wait(func() error {
		native, err := sarama.NewAsyncProducer(s.addresses, s.Config)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed {
			return native.Close()
		}
		p.native = native
		p.reported = make(chan struct{})
		go p.report()
		return nil
	})
}

// report gives each record back to whoever sent it.
func (p *producer) report() {
	errors := make(chan struct{})
	go func() {
		defer close(errors)
		for failure := range p.native.Errors() {
			p.held.Add(-1)
			failure.Msg.Metadata.(sender).failed(failure.Msg, failure.Err)
		}
	}()
	for message := range p.native.Successes() {
		p.held.Add(-1)
		message.Metadata.(sender).acked(message)
	}
	<-errors
	close(p.reported)
}

// hand gives a record to sarama; false when the context ends before there is room.
func (p *producer) hand(ctx context.Context, message *sarama.ProducerMessage) bool {
	p.held.Add(1)
	select {
	case p.native.Input() <- message:
		return true
	case <-ctx.Done():
		p.held.Add(-1)
		return false
	}
}

// asyncClose lets sarama flush and give up; nothing may be handed over after it.
func (p *producer) asyncClose() { p.closing.Do(p.native.AsyncClose) }

// Close waits until sarama is through with every record, however long: it takes no timeout.
func (p *producer) Close() error {
	p.mu.Lock()
	p.closed = true
	native := p.native
	p.mu.Unlock()
	defer p.registry.close()
	if native == nil {
		return nil
	}
	p.settle()
	p.asyncClose()
	<-p.reported
	return nil
}

func (p *producer) Observe() kit.Observed {
	held := p.held.Load()
	return kit.Observed{
		BufferedRecords: &held,
		ReceivedBytes:   p.registry.count(received),
		SentBytes:       p.registry.count(sent),
	}
}

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

// sentRecord is one record of a batch.
type sentRecord struct {
	batch *batch
	index int
	given bool
}

func (s *sentRecord) placed() bool { return s.given }

func (s *sentRecord) acked(message *sarama.ProducerMessage) {
	s.batch.end(s.index, result{kit.OK, message.Partition, message.Offset, nil})
}

func (s *sentRecord) failed(message *sarama.ProducerMessage, err error) {
	partition := int32(-1)
	if s.given {
		partition = message.Partition
	}
	s.batch.end(s.index, result{outcomeOfSend(err), partition, -1, err})
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
		message := native(topic, &records[index], crc)
		message.Metadata = &sentRecord{b, index, records[index].Partition != nil}
		if !p.hand(p.session.Context(), message) {
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
func native(topic string, record *kit.Record, crc uint32) *sarama.ProducerMessage {
	content := record.Message(crc)
	message := &sarama.ProducerMessage{Topic: topic, Offset: -1}
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

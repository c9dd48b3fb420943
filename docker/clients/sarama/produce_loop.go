package main

import (
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// produceLoop is one `produce` command: the sender of all its records. Its time and value come back
// with the payload, so nothing is kept for a record while it is on its way.
type produceLoop struct {
	loop    *kit.Loop
	given   bool
	lanes   []*kit.Lane // by partition; only the goroutine that reports successes touches them
	topic   string
	waiting atomic.Int64 // records on their way, and one more until all were handed over
	done    chan struct{}
}

func (l *produceLoop) placed() bool { return l.given }

func (l *produceLoop) acked(message *sarama.ProducerMessage) {
	for int(message.Partition) >= len(l.lanes) {
		l.lanes = append(l.lanes, nil)
	}
	lane := l.lanes[message.Partition]
	if lane == nil {
		lane = l.loop.Lane(l.topic, message.Partition)
		l.lanes[message.Partition] = lane
	}
	lane.Produced(kit.Now(), message.Value.(sarama.ByteEncoder))
	l.end()
}

func (l *produceLoop) failed(*sarama.ProducerMessage, error) {
	l.loop.Failed(1)
	l.end()
}

func (l *produceLoop) end() {
	if l.waiting.Add(-1) == 0 {
		close(l.done)
	}
}

func (p *producer) produce(c *kit.Command) (kit.Fields, error) {
	loop, spec, err := p.session.Produce(c)
	if err != nil {
		return nil, err
	}
	l := &produceLoop{
		loop: loop, given: len(spec.Partitions) > 0, topic: spec.Topic, done: make(chan struct{}),
	}
	l.waiting.Store(1)
	loop.Pace(spec, func(partition int32, payload []byte) bool {
		l.waiting.Add(1)
		message := &sarama.ProducerMessage{
			Topic: spec.Topic, Partition: partition, Value: sarama.ByteEncoder(payload), Metadata: l,
		}
		if p.hand(loop.Context(), message) {
			return true
		}
		l.waiting.Add(-1)
		return false
	})
	l.end()
	select {
	case <-l.done:
		return loop.Finish(), nil
	case <-p.session.Context().Done():
	}
	p.asyncClose()
	select {
	case <-l.done:
	case <-p.reported:
	case <-time.After(time.Until(p.session.CloseBy())):
	}
	return loop.Finish(), nil
}

package main

import (
	"context"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// produceLoop is one `produce` command: the sender of all its records.
type produceLoop struct {
	loop  *kit.Loop
	topic string
	lanes []*kit.Lane // by partition; only the goroutine that reports successes touches them
}

func (l *produceLoop) acked(record *handed) {
	for int(record.Partition) >= len(l.lanes) {
		l.lanes = append(l.lanes, nil)
	}
	lane := l.lanes[record.Partition]
	if lane == nil {
		lane = l.loop.Lane(l.topic, record.Partition)
		l.lanes[record.Partition] = lane
	}
	lane.Produced(kit.Now(), record.paced)
}

func (l *produceLoop) failed(*handed, error) { l.loop.Failed(1) }

func (p *producer) produce(c *kit.Command) (kit.Fields, error) {
	loop, spec, err := p.session.Produce(c)
	if err != nil {
		return nil, err
	}
	l := &produceLoop{loop: loop, topic: spec.Topic}
	loop.Pace(spec, func(paced kit.Paced, payload []byte) bool {
		record := &handed{by: l, placed: paced.Partition >= 0, paced: paced}
		record.Topic, record.Partition = spec.Topic, paced.Partition
		record.Value = sarama.ByteEncoder(payload)
		return p.hand(loop.Context(), record)
	})
	if p.traffic.settle(p.session.Context().Done()) {
		return loop.Finish(), nil
	}
	p.asyncClose()
	gaveUp, cancel := context.WithDeadline(context.Background(), p.session.CloseBy())
	defer cancel()
	p.traffic.settle(gaveUp.Done())
	return loop.Finish(), nil
}

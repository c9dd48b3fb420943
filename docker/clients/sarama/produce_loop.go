package main

import (
	"context"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// produceLoop is one `produce` command: the sender of all its records. sarama reports successes from
// one goroutine.
type produceLoop struct {
	loop *kit.Loop
	acks *kit.Acks
}

func (l *produceLoop) acked(record *handed) {
	l.acks.Add(record.Partition, record.Offset, record.paced)
}

func (l *produceLoop) failed(*handed, error) { l.loop.Failed(1) }

func (p *producer) produce(c *kit.Command) (kit.Fields, error) {
	loop, spec, err := p.session.Produce(c)
	if err != nil {
		return nil, err
	}
	l := &produceLoop{loop: loop, acks: loop.Acks(spec)}
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

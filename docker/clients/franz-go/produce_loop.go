package main

import (
	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// produceLoop is one `produce` command. kgo calls one promise after the other.
type produceLoop struct {
	p    *producer
	loop *kit.Loop
	acks *kit.Acks
}

func (l *produceLoop) promise(record *kgo.Record, err error) {
	if err != nil {
		l.loop.Failed(1)
		return
	}
	l.p.added.Store(true)
	l.acks.Add(record.Partition, record.Offset, ticketOf(record).paced)
}

func (p *producer) produce(c *kit.Command) (kit.Fields, error) {
	loop, spec, err := p.session.Produce(c)
	if err != nil {
		return nil, err
	}
	l := &produceLoop{p: p, loop: loop, acks: loop.Acks(spec)}
	promise := l.promise
	loop.Pace(spec, func(paced kit.Paced, payload []byte) bool {
		record := &handed{ticket: ticket{paced: paced}}
		record.Topic, record.Partition, record.Value = spec.Topic, paced.Partition, payload
		p.hand(record, promise)
		return true
	})
	_ = p.native.Load().Flush(p.shut) // ends early with the close only, which fails the rest
	return loop.Finish(), nil
}

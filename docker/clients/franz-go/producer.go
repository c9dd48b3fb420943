package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// grace is how long kgo gets to keep the promises of records that it has closed over.
const grace = 50 * time.Millisecond

// producer is the producer role.
type producer struct {
	session *kit.Session
	traffic traffic
	native  atomic.Pointer[kgo.Client]
	acks0   bool

	shutting sync.Once
	shut     context.Context // done when kgo is closed
	isShut   context.CancelFunc

	// of the transaction that runs; only the session's goroutine begins and ends one
	inTxn bool
	added atomic.Bool // a record of it was acknowledged
}

// handed is a record on its way through kgo; whoever handed it over is in its Context.
type handed struct {
	kgo.Record
	ticket ticket
}

type ticket struct {
	context.Context
	placed bool // its partition was given
	index  int  // in a send
	paced  kit.Paced
}

func newProducer(session *kit.Session) kit.Client {
	p := &producer{session: session, traffic: traffic{session: session}}
	p.shut, p.isShut = context.WithCancel(context.Background())
	return p
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
	own, err := partitioner(s.opts)
	if err != nil {
		return err
	}
	opts := append(s.opts, kgo.WithHooks(&p.traffic), kgo.RecordPartitioner(placing{own}))
	native, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	p.acks0 = native.OptValue(kgo.RequiredAcks) == kgo.NoAck()
	p.native.Store(native)
	context.AfterFunc(p.session.Context(), p.close)
	return nil
}

// partitioner is the one that a client with these options would have: defaults differ by version.
func partitioner(opts []kgo.Opt) (kgo.Partitioner, error) {
	like, err := kgo.NewClient(opts...) // it connects to nothing before it has something to do
	if err != nil {
		return nil, err
	}
	defer like.Close()
	own, is := like.OptValue(kgo.RecordPartitioner).(kgo.Partitioner)
	if !is {
		return nil, kit.Refusef("this version of kgo does not say which partitioner it has")
	}
	return own, nil
}

// hand gives a record to kgo, and waits for room where there is none. Its own context never ends:
// kgo would give up records that wait in a batch with it.
func (p *producer) hand(record *handed, promise func(*kgo.Record, error)) {
	record.ticket.Context = context.Background()
	record.Record.Context = &record.ticket
	p.native.Load().Produce(context.Background(), &record.Record, promise)
}

func ticketOf(record *kgo.Record) *ticket { return record.Context.(*ticket) }

// close flushes as long as the lab gives it, as kgo advises, and closes, which fails the rest.
func (p *producer) close() {
	p.shutting.Do(func() {
		defer p.isShut()
		native := p.native.Load()
		if native == nil {
			return
		}
		ctx, cancel := context.WithDeadline(context.Background(), p.session.CloseBy())
		defer cancel()
		_ = native.Flush(ctx) // its only error is that time is up; promises say the rest
		native.Close()
	})
	<-p.shut.Done()
}

func (p *producer) Close() error {
	p.close()
	return nil
}

func (p *producer) Observe() kit.Observed {
	native := p.native.Load()
	if native == nil {
		return p.traffic.observe(0)
	}
	return p.traffic.observe(native.BufferedProduceRecords())
}

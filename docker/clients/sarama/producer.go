package main

import (
	"context"
	"sync"
	"sync/atomic"

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
	traffic  traffic
	closing  sync.Once     // AsyncClose
	reported chan struct{} // closed when sarama has closed both channels
	mu       sync.Mutex    // native while an interrupted open goes on
	closed   bool
}

// traffic counts records on both sides of sarama, each side on a cache line of its own.
type traffic struct {
	handed atomic.Int64
	_      [56]byte
	done   atomic.Int64
	target atomic.Int64  // of done, when somebody waits for it
	idle   chan struct{} // gets a token when it is reached; holds one
}

// handed is a record on its way through sarama.
type handed struct {
	sarama.ProducerMessage
	by     sender
	placed bool // its partition was given
	index  int  // in a send
	paced  kit.Paced
}

// sender wants to know what became of its records.
type sender interface {
	acked(*handed)
	failed(*handed, error)
}

func newProducer(session *kit.Session) kit.Client {
	return &producer{
		session:  session,
		calls:    calls{session: session},
		registry: newRegistry(),
		traffic:  traffic{idle: make(chan struct{}, 1)},
	}
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
			record := failure.Msg.Metadata.(*handed)
			record.by.failed(record, failure.Err)
			p.traffic.report()
		}
	}()
	for message := range p.native.Successes() {
		record := message.Metadata.(*handed)
		record.by.acked(record)
		p.traffic.report()
	}
	<-errors
	close(p.reported)
}

func (t *traffic) report() {
	if t.done.Add(1) == t.target.Load() {
		select {
		case t.idle <- struct{}{}:
		default: // a token is there
		}
	}
}

// settle waits until all that was handed over is reported; false when stop comes before.
func (t *traffic) settle(stop <-chan struct{}) bool {
	all := t.handed.Load()
	t.target.Store(all)
	for t.done.Load() < all {
		select {
		case <-t.idle:
		case <-stop:
			return false
		}
	}
	return true
}

// hand gives a record to sarama; false when the context ends before there is room.
func (p *producer) hand(ctx context.Context, record *handed) bool {
	record.Metadata = record
	p.traffic.handed.Add(1)
	select {
	case p.native.Input() <- &record.ProducerMessage: // cheaper than to wait for two things
		return true
	default:
	}
	select {
	case p.native.Input() <- &record.ProducerMessage:
		return true
	case <-ctx.Done():
		p.traffic.handed.Add(-1)
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
	held := p.traffic.handed.Load() - p.traffic.done.Load()
	return kit.Observed{
		BufferedRecords: &held,
		ReceivedBytes:   p.registry.count(received),
		SentBytes:       p.registry.count(sent),
	}
}

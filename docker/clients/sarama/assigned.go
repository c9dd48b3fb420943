package main

import (
	"sync"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// assigned are partitions by hand: a PartitionConsumer each, and an OffsetManager where the
// consumer has a group. sarama cannot seek: a program makes the PartitionConsumer again, and so
// does this.
type assigned struct {
	c        *consumer
	consumer sarama.Consumer
	manager  sarama.OffsetManager // nil without a group

	mu     sync.Mutex
	parts  map[kit.Place]*assignedPart
	marks  map[kit.Place]sarama.PartitionOffsetManager
	paused map[kit.Place]bool
}

type assignedPart struct {
	native sarama.PartitionConsumer
	gone   chan struct{}
	ended  sync.WaitGroup // of the goroutines that read it
}

func (c *consumer) assign(command *kit.Command) error {
	positions, err := command.Positions("partitions")
	if err != nil {
		return err
	}
	if c.member != nil {
		return kit.Refusef("assign: this consumer has subscribed")
	}
	return c.wait(func() error {
		a, err := c.byHand()
		if err != nil {
			return err
		}
		if err := a.drop(); err != nil {
			return err
		}
		for _, position := range positions {
			if err := a.begin(position); err != nil {
				return err
			}
		}
		return nil
	})
}

// byHand makes what all partitions share, once.
func (c *consumer) byHand() (*assigned, error) {
	if c.assigned != nil {
		return c.assigned, nil
	}
	native, err := sarama.NewConsumerFromClient(c.client)
	if err != nil {
		return nil, err
	}
	a := &assigned{
		c:        c,
		consumer: native,
		parts:    map[kit.Place]*assignedPart{},
		marks:    map[kit.Place]sarama.PartitionOffsetManager{},
		paused:   map[kit.Place]bool{},
	}
	if c.group != "" {
		if a.manager, err = sarama.NewOffsetManagerFromClient(c.group, c.client); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assigned = a
	return a, nil
}

// begin reads a partition from an offset, or from where the group or the configuration says.
func (a *assigned) begin(at kit.Position) error {
	if a.manager != nil {
		if err := a.manage(at.Place); err != nil {
			return err
		}
	}
	offset := at.Offset
	if offset == kit.NoOffset {
		offset = a.c.settings.Consumer.Offsets.Initial
		if a.manager != nil {
			offset, _ = a.marks[at.Place].NextOffset()
		}
	}
	native, err := a.consumer.ConsumePartition(at.Topic, at.Partition, offset)
	if err != nil {
		return err
	}
	if a.paused[at.Place] { // older versions forget it
		native.Pause()
	}
	part := &assignedPart{native: native, gone: make(chan struct{})}
	a.parts[at.Place] = part
	part.ended.Add(2)
	go func() {
		defer part.ended.Done()
		for err := range native.Errors() {
			a.c.report(err)
		}
	}()
	f := &feed{place: at.Place, messages: native.Messages(), gone: part.gone}
	if a.manager != nil {
		f.offsets = a
	}
	a.c.mu.Lock()
	a.c.feeds[at.Place] = f // known as soon as the assignment is
	a.c.mu.Unlock()
	go func() {
		defer part.ended.Done()
		a.c.flow(f)
	}()
	return nil
}

// manage lets sarama keep a partition's offset.
func (a *assigned) manage(place kit.Place) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.marks[place] != nil {
		return nil
	}
	marks, err := a.manager.ManagePartition(place.Topic, place.Partition)
	if err != nil {
		return err
	}
	a.marks[place] = marks
	go func() {
		for err := range marks.Errors() {
			a.c.report(err)
		}
	}()
	return nil
}

// end stops reading a partition.
func (a *assigned) end(place kit.Place) error {
	part := a.parts[place]
	delete(a.parts, place)
	close(part.gone)
	err := part.native.Close()
	part.ended.Wait()
	a.c.mu.Lock()
	delete(a.c.next, place)
	a.c.mu.Unlock()
	return err
}

func (a *assigned) drop() error {
	clear(a.paused)
	var failed error
	for place := range a.parts {
		if err := a.end(place); err != nil {
			failed = err
		}
	}
	return failed
}

// hold remembers what is paused.
func (a *assigned) hold(places []kit.Place, paused bool) {
	for _, place := range places {
		a.paused[place] = paused
	}
}

func (c *consumer) seek(command *kit.Command) error {
	positions, err := command.Positions("offsets")
	if err != nil {
		return err
	}
	a := c.assigned
	if a == nil {
		return kit.Refusef("seek: sarama can only move partitions that were assigned by hand")
	}
	for _, position := range positions {
		if a.parts[position.Place] == nil {
			return kit.Refusef("seek: %s is not assigned", position.Place)
		}
	}
	return c.wait(func() error {
		for _, position := range positions {
			if err := a.end(position.Place); err != nil {
				return err
			}
			if err := a.begin(position); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *assigned) close() error {
	failed := a.drop()
	if a.manager != nil {
		if err := a.manager.Close(); err != nil { // and what it manages
			failed = err
		}
	}
	if err := a.consumer.Close(); err != nil {
		failed = err
	}
	return failed
}

// The offsets of partitions by hand.

func (a *assigned) holds(place kit.Place) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.marks[place] != nil
}

func (a *assigned) mark(at kit.Position, back bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if back {
		a.marks[at.Place].ResetOffset(at.Offset, "")
	}
	a.marks[at.Place].MarkOffset(at.Offset, "")
}

func (a *assigned) commit() { a.manager.Commit() }

package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// member is a ConsumerGroup with the loop around Consume that sarama asks a program for, and its
// handler.
type member struct {
	c           *consumer
	group       sarama.ConsumerGroup
	cooperative bool
	cancel      context.CancelFunc
	ended       chan struct{}

	mu      sync.Mutex
	session sarama.ConsumerGroupSession
	held    map[kit.Place]bool // what the lab was told that it has
}

func (c *consumer) subscribe(command *kit.Command) error {
	var topics []string
	if err := command.Into("topics", &topics); err != nil {
		return err
	}
	if c.group == "" {
		return kit.Refusef("subscribe: expected the config key 'group' when this consumer was opened")
	}
	if c.assigned != nil {
		return kit.Refusef("subscribe: this consumer has partitions by hand")
	}
	m := c.member
	if m == nil {
		group, err := sarama.NewConsumerGroupFromClient(c.group, c.client)
		if err != nil {
			return err
		}
		m = &member{c: c, group: group, cooperative: cooperative(c.settings)}
		c.mu.Lock()
		c.member = m
		c.mu.Unlock()
		go func() {
			for err := range group.Errors() {
				c.report(err)
			}
		}()
	} else {
		m.cancel()
		<-m.ended
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.ended = cancel, make(chan struct{})
	go m.run(ctx, topics, m.ended)
	return nil
}

func cooperative(s *settings) bool {
	all := s.Consumer.Group.Rebalance.GroupStrategies
	return len(all) > 0 && !slices.ContainsFunc(all, func(each sarama.BalanceStrategy) bool {
		return !strings.HasPrefix(each.Name(), "cooperative")
	})
}

// run calls Consume for one session after the other. After an error it waits as long as sarama does
// between its own attempts to join.
func (m *member) run(ctx context.Context, topics []string, ended chan struct{}) {
	defer close(ended)
	for ctx.Err() == nil {
		err := m.group.Consume(ctx, topics, m)
		if errors.Is(err, sarama.ErrClosedConsumerGroup) {
			return
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		m.c.report(err)
		select {
		case <-ctx.Done():
		case <-time.After(m.c.settings.Consumer.Group.Rebalance.Retry.Backoff):
		}
	}
}

// Setup begins a session.
func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	m.session, m.held = session, map[kit.Place]bool{}
	for topic, partitions := range session.Claims() {
		for _, partition := range partitions {
			m.held[kit.Place{Topic: topic, Partition: partition}] = true
		}
	}
	places := sorted(m.held)
	m.mu.Unlock()
	m.c.mu.Lock()
	clear(m.c.next)
	m.c.mu.Unlock()
	m.tell("assigned", session, places)
	return nil
}

// Cleanup ends a session. sarama does not say whether the partitions were taken or lost; newer
// versions give the reason for its end.
func (m *member) Cleanup(session sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	places := sorted(m.held)
	m.held, m.session = nil, nil
	m.mu.Unlock()
	kind := "revoked"
	switch context.Cause(session.Context()) {
	case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration, sarama.ErrFencedInstancedId:
		kind = "lost"
	}
	m.tell(kind, session, places)
	return nil
}

// ConsumeClaim delivers one partition. In a cooperative group partitions come and go inside a
// session: sarama then says so by calling this, and by closing the channel.
func (m *member) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	place := kit.Place{Topic: claim.Topic(), Partition: claim.Partition()}
	if m.take(place) {
		m.tell("assigned", session, []kit.Place{place})
	}
	m.c.flow(&feed{
		place:    place,
		messages: claim.Messages(),
		gone:     session.Context().Done(),
		offsets:  claimed{session},
	})
	if m.cooperative && session.Context().Err() == nil && m.drop(place) {
		m.c.mu.Lock()
		delete(m.c.next, place)
		m.c.mu.Unlock()
		m.tell("revoked", session, []kit.Place{place})
	}
	return nil
}

// take notes a partition; false when it was known.
func (m *member) take(place kit.Place) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.held[place]
	m.held[place] = true
	return !known
}

func (m *member) drop(place kit.Place) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.held[place]
	delete(m.held, place)
	return known
}

func (m *member) tell(kind string, session sarama.ConsumerGroupSession, places []kit.Place) {
	generation, id := session.GenerationID(), session.MemberID()
	m.c.session.Group(kind, places, &generation, &id)
}

func sorted(places map[kit.Place]bool) []kit.Place {
	return slices.SortedFunc(maps.Keys(places), func(a, b kit.Place) int {
		if by := strings.Compare(a.Topic, b.Topic); by != 0 {
			return by
		}
		return int(a.Partition - b.Partition)
	})
}

// current is the session that runs, nil between two.
func (m *member) current() sarama.ConsumerGroupSession {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// close leaves the group.
func (m *member) close() error {
	m.cancel()
	err := m.group.Close()
	<-m.ended
	return err
}

// claimed are the offsets of a session.
type claimed struct{ session sarama.ConsumerGroupSession }

func (o claimed) holds(place kit.Place) bool {
	return slices.Contains(o.session.Claims()[place.Topic], place.Partition)
}

func (o claimed) mark(at kit.Position, back bool) {
	if back {
		o.session.ResetOffset(at.Topic, at.Partition, at.Offset, "")
	}
	o.session.MarkOffset(at.Topic, at.Partition, at.Offset, "")
}

func (o claimed) commit() { o.session.Commit() }

package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// Commits. sarama's Commit takes no offsets and gives no answer: it sends what was marked, waits,
// reports what a broker refused on the consumer's error channel, and keeps silent where it means to
// try again with the next one. So a `commit` marks, commits, and then asks the coordinator, with
// the client's own admin call: ok is what it has, fail what was refused, info the rest. Marks are
// made for a commit, or after a poll where sarama commits by itself: nothing else would go along.
//
// sarama has no asynchronous commit either; a Go program that wants one calls Commit on a goroutine
// of its own. Here that is one goroutine for each consumer, which takes commits in their order.

// offsets is where a consumer's offsets are marked and committed.
type offsets interface {
	holds(kit.Place) bool
	mark(at kit.Position, back bool) // back: also below what is marked
	commit()
}

// errNotHeld is a partition that sarama would ignore.
var errNotHeld = errors.New("not assigned now: sarama ignores its offset")

// errUnseen is a commit that sarama returned from, without an error and without effect.
var errUnseen = errors.New("the commit returned, but the coordinator does not have the offset")

type committer struct {
	c     *consumer
	mu    sync.Mutex
	queue []*commitJob
	ready chan struct{}
	kicks chan offsets // commits of a loop that waits for none
	quit  chan struct{}
	ended chan struct{}
}

type commitJob struct {
	command   *kit.Command
	positions []kit.Position // nil: all that was delivered
	answer    func(*kit.Ended)
	once      sync.Once
}

func (j *commitJob) end(ended *kit.Ended) { j.once.Do(func() { j.answer(ended) }) }

func newCommitter(c *consumer) *committer {
	committer := &committer{
		c:     c,
		ready: make(chan struct{}, 1),
		kicks: make(chan offsets, 1),
		quit:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	go committer.run()
	return committer
}

func (c *consumer) commit(command *kit.Command) (kit.Fields, error) {
	mode, err := command.Text("mode")
	if err != nil {
		return nil, err
	}
	if mode != "sync" && mode != "async" {
		return nil, kit.Refusef("mode: expected sync or async, found '%s'", mode)
	}
	if c.commits == nil {
		return nil, kit.Refusef("commit: this consumer has no group")
	}
	job := &commitJob{command: command}
	if command.Has("offsets") {
		job.positions = []kit.Position{}
		if err := command.Into("offsets", &job.positions); err != nil {
			return nil, err
		}
	}
	if mode == "async" {
		job.answer = func(ended *kit.Ended) { command.Answer(ended.Outcome, ended.Fields, ended.Err) }
		c.commits.add(job)
		return nil, kit.ErrLater
	}
	done := make(chan *kit.Ended, 1)
	job.answer = func(ended *kit.Ended) { done <- ended }
	c.commits.add(job)
	select {
	case ended := <-done:
		return plainly(ended)
	case <-c.session.Context().Done():
	}
	select {
	case ended := <-done:
		return plainly(ended)
	case <-time.After(grace):
		return nil, &kit.Ended{Outcome: kit.Info, Err: errClosing}
	}
}

func plainly(ended *kit.Ended) (kit.Fields, error) {
	if ended.Outcome == kit.OK {
		return ended.Fields, nil
	}
	return nil, ended
}

func (m *committer) add(job *commitJob) {
	m.mu.Lock()
	m.queue = append(m.queue, job)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// kick commits what is marked by now, later; one that waits already will do.
func (m *committer) kick(of offsets) {
	select {
	case m.kicks <- of:
	default:
	}
}

func (m *committer) run() {
	defer close(m.ended)
	for {
		select {
		case <-m.quit:
			return
		case of := <-m.kicks:
			of.commit()
		case <-m.ready:
			for _, job := range m.take() {
				job.end(m.c.carryOut(job))
			}
		}
	}
}

func (m *committer) take() []*commitJob {
	m.mu.Lock()
	defer m.mu.Unlock()
	queue := m.queue
	m.queue = nil
	return queue
}

// close answers what was not carried out; one that runs may take as long as the close.
func (m *committer) close() {
	close(m.quit)
	select {
	case <-m.ended:
	case <-time.After(time.Until(m.c.session.CloseBy())):
	}
	for _, job := range m.take() {
		job.end(&kit.Ended{Outcome: kit.Info, Err: errClosing})
	}
}

// offsets of the session or the assignment that is current.
func (c *consumer) offsets() (offsets, error) {
	c.mu.Lock()
	member, assigned := c.member, c.assigned
	c.mu.Unlock()
	if session := member.current(); session != nil {
		return claimed{session}, nil
	}
	if assigned != nil && assigned.manager != nil {
		return assigned, nil
	}
	return nil, kit.Refusef("commit: there is no session now: sarama has nothing to commit with")
}

// delivered is what sarama's handler would have marked of all that it was given.
func (c *consumer) delivered() []kit.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := []kit.Position{}
	for place, offset := range c.next {
		found = append(found, kit.Position{Place: place, Offset: offset})
	}
	return found
}

func (c *consumer) carryOut(job *commitJob) *kit.Ended {
	of, err := c.offsets()
	if err != nil {
		return &kit.Ended{Outcome: kit.Fail, Err: err}
	}
	explicit := job.positions != nil
	positions := job.positions
	if !explicit {
		positions = c.delivered()
	}
	failures := map[kit.Place]error{}
	places := []kit.Place{}
	for _, position := range positions {
		if !of.holds(position.Place) {
			failures[position.Place] = kit.Refusef("%s: %v", position.Place, errNotHeld)
			continue
		}
		places = append(places, position.Place)
		c.mu.Lock()
		delete(c.failures, position.Place)
		c.mu.Unlock()
		of.mark(position, explicit)
	}
	of.commit()
	found, err := c.coordinated(places)
	if err != nil {
		return &kit.Ended{Outcome: kit.Info, Err: fmt.Errorf("committed, not confirmed: %w", err)}
	}
	return c.compare(positions, found, failures)
}

// compare says how a commit ended, by what the coordinator has.
func (c *consumer) compare(
	wanted, found []kit.Position, failures map[kit.Place]error,
) *kit.Ended {
	has := map[kit.Place]int64{}
	for _, each := range found {
		has[each.Place] = each.Offset
	}
	kept := []kit.Position{}
	certain := true
	var first error
	for _, each := range wanted {
		if failures[each.Place] == nil && has[each.Place] == each.Offset {
			kept = append(kept, each)
			continue
		}
		failed := failures[each.Place]
		if failed == nil {
			failed = c.failure(each, has[each.Place])
		}
		certain = certain && c.refused(failed)
		if first == nil {
			first = failed
		}
	}
	fields := kit.Fields{"offsets": kept}
	switch {
	case first == nil:
		return &kit.Ended{Outcome: kit.OK, Fields: fields}
	case certain && len(kept) == 0:
		return &kit.Ended{Outcome: kit.Fail, Err: first, Fields: fields}
	}
	return &kit.Ended{Outcome: kit.Info, Err: first, Fields: fields}
}

func (c *consumer) failure(wanted kit.Position, has int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reported := c.failures[wanted.Place]; reported != nil {
		return reported
	}
	return fmt.Errorf("%s: %w: expected %d, found %d", wanted.Place, errUnseen, wanted.Offset, has)
}

// refused tells whether an error says that the offset was certainly not taken.
func (c *consumer) refused(err error) bool {
	var refused *kit.Refused
	var answer sarama.KError
	if errors.As(err, &answer) {
		return outcome("commit", answer) == kit.Fail
	}
	return errors.As(err, &refused)
}

package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"kafkalab/driver/kit"
)

// txn carries out one step of a transaction. kgo initializes transactions when it needs its
// producer id first, so `init` asks for that. EndTransaction does nothing, and says nothing, where
// no transaction is begun: that is refused here.
func (p *producer) txn(c *kit.Command) error {
	action, err := c.Text("action")
	if err != nil {
		return err
	}
	ctx := p.session.Context()
	switch action {
	case "init":
		return p.initialize(ctx)
	case "begin":
		return p.begin()
	case "commit", "abort":
		return p.end(ctx, action == "commit")
	case "send_offsets":
		return p.sendOffsets(ctx, c)
	}
	return kit.Refusef(
		"action: expected init, begin, commit, abort or send_offsets, found '%s'", action)
}

func (p *producer) initialize(ctx context.Context) error {
	native := p.native.Load()
	if native.OptValue(kgo.TransactionalID) == "" {
		return kit.Refusef("init: expected the config key 'transactional_id' when this was opened")
	}
	_, _, err := native.ProducerID(ctx)
	return err
}

func (p *producer) begin() error {
	if err := p.native.Load().BeginTransaction(); err != nil {
		return &kit.Ended{Outcome: kit.Fail, Err: err} // it only looks at kgo's own state
	}
	p.inTxn = true
	p.added.Store(false)
	return nil
}

// end flushes or gives up what waits, as kgo asks a program to, and ends the transaction.
func (p *producer) end(ctx context.Context, commit bool) error {
	if !p.inTxn {
		return kit.Refusef("there is no transaction: kgo would do nothing and return nil")
	}
	native := p.native.Load()
	prepare, try := native.AbortBufferedRecords, kgo.TryAbort
	if commit {
		prepare, try = native.Flush, kgo.TryCommit
	}
	if err := prepare(ctx); err != nil {
		return &kit.Ended{Outcome: kit.Fail, Err: err} // it was not asked to end
	}
	err := native.EndTransaction(ctx, try)
	if err == nil {
		p.inTxn = false
		return nil
	}
	// kgo repeats the request: an answer to the second attempt says nothing of the first.
	of := kit.Info
	if errors.Is(err, kerr.OperationNotAttempted) {
		of = kit.Fail
	}
	answer := answered(err)
	abort := commit && (of == kit.Fail || answer != nil && answer.Code == transactionAbortable)
	p.inTxn = abort || answer == nil // kgo then wants an abort
	return &kit.Ended{Outcome: of, Err: &endError{err, abort}}
}

// endError is an error of the end of a transaction.
type endError struct {
	error
	abort bool
}

func (e *endError) Unwrap() error { return e.error }

// sendOffsets adds a member's offsets to the transaction by requests of kmsg. kgo's own way,
// GroupTransactSession, is for a program whose producer and consumer are one client; with two, a
// program writes these requests, and EndTransaction, which does not know of them, only ends a
// transaction that has records, too.
func (p *producer) sendOffsets(ctx context.Context, c *kit.Command) error {
	positions, err := c.Positions("offsets")
	if err != nil {
		return err
	}
	name, err := c.Text("group_of")
	if err != nil {
		return err
	}
	sibling, err := p.session.Sibling(name)
	if err != nil {
		return err
	}
	member, is := sibling.(*consumer)
	if !is || member.group == "" {
		return kit.Refusef("group_of: '%s' is no consumer with a group", name)
	}
	if !p.inTxn || !p.added.Load() {
		return kit.Refusef("send_offsets: expected a transaction with an acknowledged record: " +
			"kgo does not end one that it knows no record of")
	}
	native := p.native.Load()
	id, epoch, err := native.ProducerID(ctx)
	if err != nil {
		return &kit.Ended{Outcome: kit.Fail, Err: err}
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, _ = native.OptValue(kgo.TransactionalID).(string)
	add.ProducerID, add.ProducerEpoch, add.Group = id, epoch, member.group
	added, err := add.RequestWith(ctx, native)
	if err == nil {
		err = kerr.ErrorForCode(added.ErrorCode)
	}
	if err != nil {
		return &kit.Ended{Outcome: kit.Fail, Err: err} // no offset was sent
	}
	return p.commitOffsets(ctx, add, member, positions)
}

func (p *producer) commitOffsets(
	ctx context.Context, add *kmsg.AddOffsetsToTxnRequest, of *consumer, positions []kit.Position,
) error {
	native := p.native.Load()
	ids, err := topicIDs(ctx, native, positions)
	if err != nil {
		return &kit.Ended{Outcome: kit.Fail, Err: err}
	}
	request := kmsg.NewPtrTxnOffsetCommitRequest()
	request.TransactionalID, request.Group = add.TransactionalID, add.Group
	request.ProducerID, request.ProducerEpoch = add.ProducerID, add.ProducerEpoch
	request.MemberID, request.Generation = of.native.Load().GroupMetadata()
	if of.instance != "" {
		request.InstanceID = &of.instance
	}
	for _, each := range positions {
		topic := kmsg.NewTxnOffsetCommitRequestTopic()
		topic.Topic, topic.TopicID = each.Topic, ids[each.Topic]
		partition := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		partition.Partition, partition.Offset = each.Partition, each.Offset
		topic.Partitions = append(topic.Partitions, partition)
		request.Topics = append(request.Topics, topic)
	}
	broke := p.traffic.since(keyTxnOffsets)
	answer, err := request.RequestWith(ctx, native)
	if err != nil {
		return &kit.Ended{Outcome: outcomeOfRequest(err, broke()), Err: err}
	}
	for _, topic := range answer.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				return &kit.Ended{Outcome: outcomeOfRequest(err, broke()), Err: err}
			}
		}
	}
	return nil
}

// topicIDs are what newer brokers want instead of names.
func topicIDs(
	ctx context.Context, native *kgo.Client, positions []kit.Position,
) (map[string][16]byte, error) {
	request := kmsg.NewPtrMetadataRequest()
	for _, each := range positions {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(each.Topic)
		request.Topics = append(request.Topics, topic)
	}
	answer, err := request.RequestWith(ctx, native)
	if err != nil {
		return nil, err
	}
	ids := map[string][16]byte{}
	for _, topic := range answer.Topics {
		if topic.Topic != nil {
			ids[*topic.Topic] = topic.TopicID
		}
	}
	return ids, nil
}

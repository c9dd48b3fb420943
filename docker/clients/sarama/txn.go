package main

import (
	"errors"
	"reflect"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// txn carries out one step of a transaction. sarama initializes transactions when the producer is
// made, so `init` only looks whether that is so.
func (p *producer) txn(c *kit.Command) error {
	action, err := c.Text("action")
	if err != nil {
		return err
	}
	var step func() error
	end := false
	switch action {
	case "init":
		step = p.initialized
	case "begin":
		step = p.native.BeginTxn
	case "commit":
		step, end = p.native.CommitTxn, true
	case "abort":
		step, end = p.native.AbortTxn, true
	case "send_offsets":
		if step, err = p.sendOffsets(c); err != nil {
			return err
		}
	default:
		return kit.Refusef(
			"action: expected init, begin, commit, abort or send_offsets, found '%s'", action)
	}
	if err := p.wait(step); err != nil {
		return p.txnError(err, end)
	}
	return nil
}

// txnError adds what sarama's state says of the transaction.
func (p *producer) txnError(err error, end bool) error {
	if errors.Is(err, errClosing) {
		return &kit.Ended{Outcome: kit.Info, Err: err}
	}
	of := outcome("txn", err)
	if end {
		of = outcomeOfEnd(err)
	}
	return &kit.Ended{Outcome: of, Err: &stateError{err, p.native.TxnStatus()}}
}

// stateError is an error of a transaction with the producer's state after it.
type stateError struct {
	error
	state sarama.ProducerTxnStatusFlag
}

func (e *stateError) Unwrap() error { return e.error }

func (p *producer) initialized() error {
	if !p.native.IsTransactional() {
		return sarama.ErrNonTransactedProducer
	}
	if p.native.TxnStatus()&sarama.ProducerTxnFlagReady == 0 {
		return sarama.ErrTransitionNotAllowed
	}
	return nil
}

func (p *producer) sendOffsets(c *kit.Command) (func() error, error) {
	positions, err := c.Positions("offsets")
	if err != nil {
		return nil, err
	}
	name, err := c.Text("group_of")
	if err != nil {
		return nil, err
	}
	sibling, err := p.session.Sibling(name)
	if err != nil {
		return nil, err
	}
	member, is := sibling.(*consumer)
	if !is || member.group == "" {
		return nil, kit.Refusef("group_of: '%s' is no consumer with a group", name)
	}
	offsets := map[string][]*sarama.PartitionOffsetMetadata{}
	for _, each := range positions {
		offsets[each.Topic] = append(offsets[each.Topic],
			&sarama.PartitionOffsetMetadata{Partition: each.Partition, Offset: each.Offset})
	}
	return func() error { return p.addOffsets(offsets, member) }, nil
}

// addOffsets gives sarama the member's generation where this version takes it (KIP-447), by
// reflection: older ones have neither the method nor the type.
func (p *producer) addOffsets(
	offsets map[string][]*sarama.PartitionOffsetMetadata, of *consumer,
) error {
	session := of.current()
	method := reflect.ValueOf(p.native).MethodByName("AddOffsetsToTxnWithGroupMetadata")
	if session == nil || !method.IsValid() {
		return p.native.AddOffsetsToTxn(offsets, of.group)
	}
	metadata := reflect.New(method.Type().In(1).Elem())
	fields := metadata.Elem()
	fields.FieldByName("GroupID").SetString(of.group)
	fields.FieldByName("GenerationID").SetInt(int64(session.GenerationID()))
	fields.FieldByName("MemberID").SetString(session.MemberID())
	if instance := of.settings.Consumer.Group.InstanceId; instance != "" {
		fields.FieldByName("GroupInstanceID").Set(reflect.ValueOf(&instance))
	}
	returned := method.Call([]reflect.Value{reflect.ValueOf(offsets), metadata})
	failed, _ := returned[0].Interface().(error)
	return failed
}

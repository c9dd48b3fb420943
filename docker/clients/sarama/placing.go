package main

import "github.com/IBM/sarama"

// place lets a record that was given a partition go there, as sarama's manual partitioner would,
// and leaves the rest to the configured one: sarama has one for all records of a producer.
func place(own sarama.PartitionerConstructor) sarama.PartitionerConstructor {
	return func(topic string) sarama.Partitioner { return placing{own(topic)} }
}

type placing struct{ sarama.Partitioner }

func given(message *sarama.ProducerMessage) bool {
	record, is := message.Metadata.(*handed)
	return is && record.placed
}

func (p placing) Partition(message *sarama.ProducerMessage, partitions int32) (int32, error) {
	if given(message) {
		return message.Partition, nil
	}
	return p.Partitioner.Partition(message, partitions)
}

// MessageRequiresConsistency tells sarama whether to choose among all partitions or those only that
// have a leader.
func (p placing) MessageRequiresConsistency(message *sarama.ProducerMessage) bool {
	if given(message) {
		return true
	}
	if own, is := p.Partitioner.(sarama.DynamicConsistencyPartitioner); is {
		return own.MessageRequiresConsistency(message)
	}
	return p.RequiresConsistency()
}

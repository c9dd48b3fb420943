// The driver of sarama: obeys docs/driver-contract.md on stdin and stdout; the kit speaks, this
// package says how sarama does things.
//
// Idioms. Producing is by AsyncProducer with both return channels, for operations and loops alike:
// it is what sarama's own documentation prefers, it is the machine below SyncProducer too
// (SendMessages hands over to an AsyncProducer and waits for all), and it reports each record by
// itself. A consumer that subscribes is a ConsumerGroup with a handler; one that is assigned has
// PartitionConsumers, and an OffsetManager where it has a group. Records wait in the client's own
// channels until a poll asks for them (feed.go).
//
// `options` are dotted paths into sarama.Config: "Producer.Flush.Messages": 100. Durations are
// strings ("10s") or nanoseconds, Version is a string ("3.3.0"). Where sarama takes a function:
//
//	Producer.Partitioner                         a constructor of sarama's by its name
//	                                             ("NewRoundRobinPartitioner", ...)
//	Consumer.Group.Rebalance.GroupStrategies     a list of such ("NewBalanceStrategySticky", ..)
//	Producer.Interceptors, Consumer.Interceptors ["observe"]: reads each record, changes nothing
//	Net.TLS..., Net.SASL...                      see security.go
//
// What sarama lacks is not declared, and refused by name: `position` (it has no such call),
// max_poll_interval_ms, delivery_timeout_ms, queue_max_records and offset_reset "none".
// buffered_records of a consumer is what waits in its channels; the rest of a fetch that sarama
// holds back is not visible.
package main

//go:generate go run detect.go

import (
	"io"
	"log"
	"os"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

func main() {
	sarama.Logger = log.New(os.Stderr, "[sarama] ", log.LstdFlags|log.Lmicroseconds)
	sarama.DebugLogger = log.New(io.Discard, "", 0)
	kit.Driver{
		Name:         "sarama",
		Module:       "github.com/IBM/sarama",
		Capabilities: capabilities(),
		Roles: map[string]func(*kit.Session) kit.Client{
			"producer": newProducer,
			"consumer": newConsumer,
			"admin":    newAdmin,
		},
		Describe: describe,
		Outcome:  outcome,
	}.Main()
}

func capabilities() []string {
	found := []string{
		"produce", "consume", "admin", "idempotence", "transactions", "static-membership", "pause",
		"seek", "headers", "null-headers", "repeated-headers", "generation", "commit-sync",
		"commit-async", "auto-commit", "loop-produce", "loop-consume-poll", "loop-consume-batch",
		"loop-consume-stream", "compression-gzip", "compression-snappy", "compression-lz4",
		"compression-zstd", "buffered-records", "heap", "connects-on-open", "tls", "sasl-plain",
		"sasl-scram", "oauthbearer",
	}
	if _, has := optional["NewBalanceStrategyCooperativeSticky"]; has {
		found = append(found, "cooperative")
	}
	return found
}

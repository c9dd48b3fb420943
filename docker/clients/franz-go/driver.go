// The driver of franz-go: obeys docs/driver-contract.md on stdin and stdout; the kit speaks, this
// package says how kgo does things.
//
// Idioms. One kgo.Client for each open client. Producing is Produce with a promise, for operations
// and loops alike. A consumer that subscribes adds topics to a client with a group and learns of
// its partitions by OnPartitionsAssigned, Revoked and Lost; one that is assigned has a client
// without a group and adds partitions to it (kgo has no partitions by hand in a group). A poll is
// PollRecords; loops are of style poll (PollRecords, one record after the other) and batch
// (PollFetches, one partition's records after the other's). A rebalance may come at any time, as it
// does in kgo unless a program asks for BlockRebalanceOnPoll; with that option the driver allows
// rebalances when the next poll begins.
//
// `options` are the functions of kgo that make an Opt, by their names, with what they take:
// "MaxBufferedRecords": 100, "DisableAutoCommit": true, "SoftwareNameAndVersion": ["a", "1"].
// Durations are strings ("10s") or nanoseconds. What is no JSON has a name (words.go):
//
//	RecordPartitioner      a constructor of kgo's ("RoundRobinPartitioner", ..)
//	Balancers              a list of such ("RangeBalancer", ..)
//	RequiredAcks, FetchIsolationLevel, ProducerBatchCompression     likewise
//	ConsumeStartOffset, ConsumeResetOffset     an offset, "AtStart", "AtEnd", "NoResetOffset"
//	MaxVersions, MinVersions                   a release as kversion names it ("V3_3_0")
//	WithHooks              ["observe"]: looks at each record and changes nothing
//	WithLogger             "debug", "info" (as here without it), "warn", "error": to stderr
//	DialTLSConfig, SASL    see security.go
//
// What kgo lacks is not declared, and refused by name: max_poll_interval_ms (nothing watches
// polls), assignor "cooperative-sticky" or "roundrobin" with group_protocol "consumer". kgo shows a
// position only to members of a group, and batch_bytes is its limit for a record, too.
package main

//go:generate go run detect.go

import "kafkalab/driver/kit"

func main() {
	kit.Driver{
		Name:         "franz-go",
		Module:       "github.com/twmb/franz-go",
		Capabilities: capabilities(),
		Roles: map[string]func(*kit.Session) kit.Client{
			"producer": newProducer,
			"consumer": newConsumer,
		},
		Describe: describe,
		Outcome:  outcome,
	}.Main()
}

func capabilities() []string {
	found := []string{
		"produce", "consume", "idempotence", "transactions", "cooperative", "static-membership",
		"pause", "seek", "headers", "null-headers", "repeated-headers", "generation", "position",
		"commit-sync", "commit-async", "auto-commit", "loop-produce", "loop-consume-poll",
		"loop-consume-batch", "compression-gzip", "compression-snappy", "compression-lz4",
		"compression-zstd", "buffered-records", "heap", "tls", "sasl-plain", "sasl-scram",
		"oauthbearer",
	}
	if _, has := options[serverSide]; has {
		found = append(found, "kip848")
	}
	return found
}

package main

import "github.com/IBM/sarama"

// optional are functions that only some versions of sarama have, by their names. Go cannot ask a
// package for a function at run time, so `go generate` (detect.go) writes optional_found.go, which
// adds those of the version that is about to be linked. Without that step there are none: the
// driver builds with any version and declares less.
var optional = map[string]any{}

var partitioners = map[string]sarama.PartitionerConstructor{
	"NewConsistentCRCHashPartitioner": sarama.NewConsistentCRCHashPartitioner,
	"NewHashPartitioner":              sarama.NewHashPartitioner,
	"NewManualPartitioner":            sarama.NewManualPartitioner,
	"NewRandomPartitioner":            sarama.NewRandomPartitioner,
	"NewReferenceHashPartitioner":     sarama.NewReferenceHashPartitioner,
	"NewRoundRobinPartitioner":        sarama.NewRoundRobinPartitioner,
}

var strategies = map[string]func() sarama.BalanceStrategy{
	"NewBalanceStrategyRange":      sarama.NewBalanceStrategyRange,
	"NewBalanceStrategyRoundRobin": sarama.NewBalanceStrategyRoundRobin,
	"NewBalanceStrategySticky":     sarama.NewBalanceStrategySticky,
}

// partitioner finds a constructor by its name.
func partitioner(name string) (sarama.PartitionerConstructor, bool) {
	if found, has := optional[name].(func(string) sarama.Partitioner); has {
		return found, true
	}
	found, has := partitioners[name]
	return found, has
}

// strategy makes a balance strategy by the name of its constructor.
func strategy(name string) (sarama.BalanceStrategy, bool) {
	found, has := optional[name].(func() sarama.BalanceStrategy)
	if !has {
		found, has = strategies[name]
	}
	if !has {
		return nil, false
	}
	return found(), true
}

package main

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// traffic is the driver's hooks in a client: bytes, requests that broke off, and connections that
// did not come about, which kgo reports in no other way while it tries again.
type traffic struct {
	session        *kit.Session
	received, sent atomic.Int64
	broken         [keysMax]atomic.Int64 // by the request's key
}

const (
	keysMax         = 128
	keyOffsetCommit = 8
	keyTxnOffsets   = 28
)

func (t *traffic) OnBrokerWrite(
	_ kgo.BrokerMetadata, _ int16, bytes int, _, _ time.Duration, _ error,
) {
	t.sent.Add(int64(bytes))
}

func (t *traffic) OnBrokerRead(
	_ kgo.BrokerMetadata, _ int16, bytes int, _, _ time.Duration, _ error,
) {
	t.received.Add(int64(bytes))
}

func (t *traffic) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if e2e.Err() != nil && key >= 0 && key < keysMax {
		t.broken[key].Add(1)
	}
}

func (t *traffic) OnBrokerConnect(
	_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error,
) {
	if err == nil || t.session.Closing() && errors.Is(err, context.Canceled) {
		return
	}
	t.session.Error(err, false)
}

// since tells whether requests of a kind broke off after this call.
func (t *traffic) since(key int16) func() bool {
	before := t.broken[key].Load()
	return func() bool { return t.broken[key].Load() != before }
}

func (t *traffic) observe(buffered int64) kit.Observed {
	received, sent := t.received.Load(), t.sent.Load()
	return kit.Observed{BufferedRecords: &buffered, ReceivedBytes: &received, SentBytes: &sent}
}

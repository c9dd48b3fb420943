package main

import (
	"fmt"
	"log"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rcrowley/go-metrics"
	"kafkalab/driver/kit"
)

// grace is how long a call that a close interrupts may still take.
const grace = 50 * time.Millisecond

// calls are those of a client into sarama that block and that sarama cannot interrupt.
type calls struct {
	session *kit.Session
	pending sync.WaitGroup
}

// wait for a call, until a close is asked for: it then goes on by itself.
func (c *calls) wait(call func() error) error {
	done := make(chan error, 1)
	c.pending.Add(1)
	go func() {
		defer c.pending.Done()
		defer func() {
			if raised := recover(); raised != nil {
				log.Printf("panic: %v\n%s", raised, debug.Stack())
				done <- fmt.Errorf("panic: %v", raised)
			}
		}()
		done <- call()
	}()
	select {
	case err := <-done:
		return err
	case <-c.session.Context().Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		return errClosing
	}
}

// settle waits for what goes on by itself, as long as the close may take.
func (c *calls) settle() {
	settled := make(chan struct{})
	go func() {
		c.pending.Wait()
		close(settled)
	}()
	select {
	case <-settled:
	case <-time.After(time.Until(c.session.CloseBy())):
	}
}

// registry is a client's metrics. sarama takes a meter out of the registry whenever one connection
// closes, and its count with it; the two totals stay here as long as the client.
type registry struct{ metrics.Registry }

const (
	received = "incoming-byte-rate"
	sent     = "outgoing-byte-rate"
)

func newRegistry() registry { return registry{metrics.NewRegistry()} }

// Unregister is what sarama calls for each metric of a connection that closed.
func (r registry) Unregister(name string) {
	if name != received && name != sent {
		r.Registry.Unregister(name)
	}
}

// close lets go of the meters: the metrics library holds on to those that are not stopped.
func (r registry) close() { r.Registry.UnregisterAll() }

// count is how much a meter counted, nil where there is none.
func (r registry) count(name string) *int64 {
	meter, has := r.Get(name).(interface{ Count() int64 })
	if !has {
		return nil
	}
	count := meter.Count()
	return &count
}

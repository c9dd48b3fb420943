package kit

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Client is one client inside a driver. Do and Close are called on the session's goroutine.
type Client interface {
	// Do carries out one command, `open` first; see the package's documentation.
	Do(*Command) (Fields, error)
	// Close closes as the client itself does, once, also after an open that failed.
	Close() error
	// Observe is called from any goroutine, at any time.
	Observe() Observed
}

// Observed is what only the driver sees of a client; nil where it cannot.
type Observed struct {
	BufferedRecords, ReceivedBytes, SentBytes *int64
}

// Session is one open client, as the lab knows it.
type Session struct {
	Name string

	host     *host
	client   Client
	runtime  runtimeMetrics
	ctx      context.Context
	closing  context.CancelFunc
	closeBy  atomic.Int64 // unix ns
	finished atomic.Bool
	ended    chan struct{}

	mu      sync.Mutex
	waiting []*Command
	ready   chan struct{} // holds a token while something waits, or the process ends
	last    bool          // the process ends: close when nothing waits
}

func newSession(h *host, name string) *Session {
	ctx, cancel := context.WithCancel(context.Background())
	return &Session{
		Name:    name,
		host:    h,
		ctx:     ctx,
		closing: cancel,
		ended:   make(chan struct{}),
		ready:   make(chan struct{}, 1),
	}
}

// Context is done as soon as a close is asked for: what runs ends then.
func (s *Session) Context() context.Context { return s.ctx }

// Closing tells whether a close was asked for.
func (s *Session) Closing() bool { return s.ctx.Err() != nil }

// CloseBy is when the lab wants the close to be over; known once Context is done.
func (s *Session) CloseBy() time.Time { return time.Unix(0, s.closeBy.Load()) }

// Sibling is another open client of this driver.
func (s *Session) Sibling(name string) (Client, error) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	other := s.host.clients[name]
	if other == nil || other.finished.Load() {
		return nil, errNotOpen(name)
	}
	return other.client, nil
}

// Event reports something of this client.
func (s *Session) Event(kind string, fields Fields) {
	fields["client"] = s.Name
	s.host.wire.emit(kind, fields)
}

// Error reports an error that belongs to no command.
func (s *Session) Error(err error, fatal bool) {
	s.Event("error", Fields{"error": s.host.describe(err), "fatal": fatal})
}

// Group reports `assigned`, `revoked` or `lost`; generation and member are nil where the client
// does not show them.
func (s *Session) Group(kind string, places []Place, generation *int32, member *string) {
	if places == nil {
		places = []Place{}
	}
	s.Event(kind, Fields{"partitions": places, "generation": generation, "member": member})
}

// observe is what only the driver sees of its process and this client.
func (s *Session) observe() Fields { return s.runtime.read(s.client.Observe()) }

// take queues a command; a close takes effect on what runs.
func (s *Session) take(c *Command) {
	if c.Op == "close" {
		var timeoutMs float64
		if err := c.Into("timeout_ms", &timeoutMs); err == nil { // else the close itself says so
			s.askToClose(time.Duration(timeoutMs * 1e6))
		}
	}
	s.mu.Lock()
	s.waiting = append(s.waiting, c)
	s.mu.Unlock()
	s.wake()
	if s.finished.Load() { // it ended between the look at it and here: nobody reads the queue
		s.refuseRest()
	}
}

func (s *Session) shut(timeout time.Duration) {
	s.askToClose(timeout)
	s.mu.Lock()
	s.last = true
	s.mu.Unlock()
	s.wake()
}

func (s *Session) askToClose(timeout time.Duration) {
	s.closeBy.Store(time.Now().Add(timeout).UnixNano())
	s.closing()
}

func (s *Session) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// next is the next command, nil when the process ends.
func (s *Session) next() *Command {
	for {
		s.mu.Lock()
		if len(s.waiting) > 0 {
			command := s.waiting[0]
			s.waiting = s.waiting[1:]
			s.mu.Unlock()
			return command
		}
		last := s.last
		s.mu.Unlock()
		if last {
			return nil
		}
		<-s.ready
	}
}

func (s *Session) run() {
	defer close(s.ended)
	for !s.finished.Load() {
		command := s.next()
		if command == nil {
			if err := s.client.Close(); err != nil {
				s.Error(err, false)
			}
			return
		}
		s.execute(command)
	}
	s.refuseRest()
}

// refuseRest answers the commands that wait behind a close; any goroutine may do so.
func (s *Session) refuseRest() {
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, command := range waiting {
		s.Event("invoke", command.base())
		s.answer(command, Fail, nil, errNotOpen(s.Name))
	}
}

// execute runs one command and reports it: invoke, then exactly one completion.
func (s *Session) execute(c *Command) {
	s.Event("invoke", c.base())
	fields, err := s.do(c)
	var ended *Ended
	switch {
	case isLater(err):
		return
	case errors.As(err, &ended):
		s.answer(c, ended.Outcome, ended.Fields, ended.Err)
	case err != nil:
		s.finished.Store(c.Op == "open" || c.Op == "close")
		s.answer(c, s.host.outcome(c.Op, err), fields, err)
	default:
		s.finished.Store(c.Op == "close")
		s.answer(c, OK, fields, nil)
	}
	for _, do := range c.after {
		do()
	}
}

// do calls the client; what it panics with on this goroutine is an error like any other.
func (s *Session) do(c *Command) (fields Fields, err error) {
	defer func() {
		if raised := recover(); raised != nil {
			log.Printf("%s of %s: panic: %v\n%s", c.Op, s.Name, raised, debug.Stack())
			err = &Ended{Outcome: s.host.outcome(c.Op, errPanic), Err: fmt.Errorf("panic: %v", raised)}
		}
	}()
	if c.Op == "close" {
		var timeoutMs float64
		if err := c.Into("timeout_ms", &timeoutMs); err != nil {
			return nil, err
		}
		return nil, s.client.Close()
	}
	fields, err = s.client.Do(c)
	if c.Op == "open" && err != nil && !isLater(err) {
		if failed := s.client.Close(); failed != nil {
			log.Printf("close of %s after a failed open: %v", s.Name, failed)
		}
	}
	return fields, err
}

var errPanic = errors.New("panic")

// answer reports how a command ended.
func (s *Session) answer(c *Command, outcome Outcome, fields Fields, err error) {
	answer := c.base()
	maps.Copy(answer, fields)
	if err != nil {
		answer["error"] = s.host.describe(err)
	}
	s.Event(string(outcome), answer)
}

func names[V any](of map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}

package kit

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	contract = 1
	exitTime = 10 * time.Second // how long clients get to close at the end of the process
)

// Driver is what makes a driver of the kit.
type Driver struct {
	Name         string   // of the driver and its client, as in `hello`
	Module       string   // path of the client's module: the version linked goes into `hello`
	Capabilities []string // of the version that is linked
	Roles        map[string]func(*Session) Client
	// Describe gives an error the client's own code and the protocol's name.
	Describe func(error) Error
	// Outcome says Fail of an error that certainly means that the command did nothing, else Info.
	Outcome func(op string, err error) Outcome
}

// host dispatches commands to clients; its reading goroutine never waits for one.
type host struct {
	Driver
	wire    *wire
	runtime runtimeMetrics // for a `stats` without a client

	mu      sync.Mutex
	clients map[string]*Session
	loops   map[int64]*Loop
	stopped map[int64]bool // loops that were stopped, perhaps before they began
}

// Main runs the driver until the end of stdin or SIGTERM, closes every client, and exits with 0.
func (d Driver) Main() {
	h := &host{
		Driver:  d,
		wire:    newWire(),
		clients: map[string]*Session{},
		loops:   map[int64]*Loop{},
		stopped: map[int64]bool{},
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	h.hello()
	go func() {
		h.read(os.Stdin)
		ended <- syscall.SIGTERM // the end of stdin asks for what SIGTERM asks for
	}()
	<-ended
	h.end()
	os.Exit(0)
}

func (h *host) hello() {
	version, library := linked(h.Module)
	h.wire.emit("hello", Fields{
		"contract":     contract,
		"driver":       h.Name,
		"client":       Fields{"name": h.Name, "version": version, "library": library},
		"runtime":      Fields{"name": "go", "version": strings.TrimPrefix(runtime.Version(), "go")},
		"pid":          os.Getpid(),
		"wall_ns":      time.Now().UnixNano(),
		"capabilities": h.Capabilities,
	})
}

// linked is the version of a module that the binary was really built with, and where it is from.
func linked(module string) (version, library string) {
	build, _ := debug.ReadBuildInfo()
	for _, each := range build.Deps {
		if each.Path != module {
			continue
		}
		if each.Replace != nil {
			each = each.Replace
		}
		version := strings.TrimPrefix(each.Version, "v")
		if version == "" {
			version = "devel" // a folder
		}
		return version, strings.TrimSpace(each.Path + " " + each.Version)
	}
	return "unknown", module
}

func (h *host) read(in io.Reader) {
	lines := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			h.take(line)
		}
		if err != nil {
			return
		}
	}
}

// take carries out one line; one that cannot be is answered, and the driver lives on.
func (h *host) take(line []byte) {
	command, err := parse(line)
	if err == nil {
		err = h.dispatch(command)
	}
	if err != nil {
		h.refuse(command, err)
	}
}

func (h *host) dispatch(c *Command) error {
	switch c.Op {
	case "clock":
		return h.now(c, Fields{"wall_ns": time.Now().UnixNano()})
	case "stats":
		return h.stats(c)
	case "stop":
		return h.stop(c)
	}
	if err := c.check(); err != nil {
		return err
	}
	session, err := h.find(c)
	if c.Op == "open" {
		session, err = h.open(c)
	}
	if err != nil {
		return err
	}
	c.session = session
	session.take(c)
	return nil
}

func (h *host) find(c *Command) (*Session, error) {
	name, err := c.Text("client")
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	session := h.clients[name]
	if session == nil || session.finished.Load() {
		return nil, Refusef("client '%s' is not open", name)
	}
	return session, nil
}

func (h *host) open(c *Command) (*Session, error) {
	name, err := c.Text("client")
	if err != nil {
		return nil, err
	}
	role, err := c.Text("role")
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if before := h.clients[name]; before != nil && !before.finished.Load() {
		return nil, Refusef("client '%s' is open already", name)
	}
	make, known := h.Roles[role]
	if !known {
		return nil, Refusef("role: expected one of %s, found '%s'", names(h.Roles), role)
	}
	session := newSession(h, name)
	session.client = make(session)
	h.clients[name] = session
	go session.run()
	return session, nil
}

// base are the fields that every answer to a command has.
func (c *Command) base() Fields {
	fields := Fields{"id": nil, "op": nil, "client": nil}
	for name := range fields {
		if raw, given := c.fields[name]; given {
			fields[name] = JSON(raw)
		}
	}
	return fields
}

// now answers a command that no client has to run.
func (h *host) now(c *Command, fields Fields) error {
	var id int64
	if err := c.Into("id", &id); err != nil {
		return err
	}
	h.wire.emit("invoke", c.base())
	answer := c.base()
	for name, value := range fields {
		answer[name] = value
	}
	h.wire.emit("ok", answer)
	return nil
}

func (h *host) stats(c *Command) error {
	if !c.Has("client") {
		return h.now(c, Fields{"runtime": h.runtime.read(Observed{})})
	}
	session, err := h.find(c)
	if err != nil {
		return err
	}
	return h.now(c, Fields{"runtime": session.observe()})
}

func (h *host) stop(c *Command) error {
	if !c.Has("loop") {
		return Refusef("stop: expected the field 'loop'")
	}
	var id int64
	if err := c.Into("loop", &id); err != nil {
		return err
	}
	h.mu.Lock()
	h.stopped[id] = true
	loop := h.loops[id]
	h.mu.Unlock()
	if loop != nil {
		loop.end()
	}
	return h.now(c, nil)
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

// refuse answers a line that reached no client.
func (h *host) refuse(c *Command, err error) {
	described := h.describe(err)
	if c == nil || !integer.Match(c.fields["id"]) {
		h.wire.emit("error", Fields{"client": nil, "error": described, "fatal": false})
		return
	}
	h.wire.emit("invoke", c.base())
	answer := c.base()
	answer["error"] = described
	h.wire.emit("fail", answer)
}

// end closes every client, all at once.
func (h *host) end() {
	h.mu.Lock()
	sessions := make([]*Session, 0, len(h.clients))
	for _, session := range h.clients {
		sessions = append(sessions, session)
	}
	h.mu.Unlock()
	for _, session := range sessions {
		session.shut(exitTime)
	}
	deadline := time.After(exitTime)
	for _, session := range sessions {
		select {
		case <-session.ended:
		case <-deadline:
			return
		}
	}
}

// errNotOpen answers what waits behind a close.
func errNotOpen(name string) error { return Refusef("client '%s' is not open", name) }

func isLater(err error) bool { return errors.Is(err, ErrLater) }

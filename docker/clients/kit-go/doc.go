// Package kit is what drivers of Go clients share: it speaks docs/driver-contract.md on stdin and
// stdout, so that a driver only says how its client does things.
//
// # A driver
//
// A driver is a package main of a few files. It fills in a [Driver] and calls [Driver.Main], which
// says hello, reads commands, and never returns:
//
//	func main() {
//		kit.Driver{
//			Name:         "franz-go",
//			Module:       "github.com/twmb/franz-go",
//			Capabilities: capabilities(),
//			Roles: map[string]func(*kit.Session) kit.Client{"producer": newProducer, ..},
//			Describe:     describe,
//			Outcome:      outcome,
//		}.Main()
//	}
//
// Each open client is a [Session] of the kit with a goroutine of its own and a [Client] of the
// driver. The kit checks that a command has its fields, emits its invoke, calls [Client.Do] on that
// goroutine, one command at a time and in order, and emits the one completion. `clock`, `stats` and
// `stop` never reach a client. What Do returns decides the completion:
//
//   - nil: ok, with the returned [Fields];
//   - an [*Ended]: its outcome and fields (a send of which a part failed, for example);
//   - [ErrLater]: none yet; the client calls [Command.Answer] exactly once, from any goroutine;
//   - any other error: [Driver.Outcome] says fail or info, [Driver.Describe] what it was. What only
//     reads is a fail without being asked about, and so is a [Refused].
//
// # Closing
//
// As soon as a close (or the end of the process) is asked for, [Session.Context] is done: whatever
// runs in Do must then end, within 100 ms where the client itself cannot be interrupted.
// [Client.Close] follows on the same goroutine. Deadlines of it are in [Session.CloseBy], for
// clients that take one.
//
// # Records
//
// [Command.Records] gives the records of a send, [Record.Message] what to write; [Rows] collects
// what a poll delivered, whatever its content, in the contract's form.
//
// # Loops
//
// [Session.Produce] and [Session.Consume] read a loop's command and start its frame, a [Loop]: it
// ends the loop in time, emits a sample a second, and adds up. Counting happens in a [Lane], one
// for each partition and goroutine; a lane costs a lock that nobody else wants. A producing driver
// gives [Loop.Pace] a function that hands one record to its client and tells [Acks] of each that was
// acknowledged; a consuming one calls [Lane.Consumed] for each delivered record.
//
// # Time
//
// [Now] is CLOCK_MONOTONIC in nanoseconds, the same clock as in every other process of the host.
package kit

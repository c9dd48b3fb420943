package kit

import (
	"errors"
	"fmt"
)

// Outcome is how a command or a record ended.
type Outcome string

// It happened; it certainly did not; nobody knows.
const (
	OK   Outcome = "ok"
	Fail Outcome = "fail"
	Info Outcome = "info"
)

// Error is an error in the contract's form.
type Error struct {
	Name             *string `json:"name"` // of the Kafka protocol, see [ProtocolError]
	Code             *string `json:"code"` // of the client
	Message          string  `json:"message"`
	Retriable        bool    `json:"retriable,omitempty"`
	Fatal            bool    `json:"fatal,omitempty"`
	TxnRequiresAbort bool    `json:"txn_requires_abort,omitempty"`
}

// Refused is a command that cannot be carried out as it is written: nothing was done.
type Refused struct{ message string }

func (e *Refused) Error() string { return e.message }

// Refusef makes a [Refused].
func Refusef(format string, parts ...any) error {
	return &Refused{fmt.Sprintf(format, parts...)}
}

// Ended ends a command with an outcome, and fields that belong to it.
type Ended struct {
	Outcome Outcome
	Err     error // described by the driver
	Fields  Fields
}

func (e *Ended) Error() string { return fmt.Sprintf("%s: %v", e.Outcome, e.Err) }

func (e *Ended) Unwrap() error { return e.Err }

// ErrLater says that a command is answered later, by [Command.Answer].
var ErrLater = errors.New("answered later")

// What changes nothing is a fail when it gives nothing, whatever the reason.
var readOnly = map[string]bool{
	"poll": true, "committed": true, "position": true,
	"describe_cluster": true, "end_offsets": true, "group_offsets": true,
}

// Describe gives an error in the contract's form.
func (d *Driver) describe(err error) Error {
	var refused *Refused
	if errors.As(err, &refused) {
		return Error{Message: err.Error()}
	}
	return d.Describe(err)
}

func (d *Driver) outcome(op string, err error) Outcome {
	var refused *Refused
	if readOnly[op] || errors.As(err, &refused) {
		return Fail
	}
	return d.Outcome(op, err)
}

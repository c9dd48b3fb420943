package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"kafkalab/driver/kit"
)

// What an error of this client says about its operation: did it certainly not happen?
//
// kgo retries by itself and reports the last attempt only, so the error of a record is certain only
// if it excludes every earlier attempt: what the record is, not what went wrong on the way. The
// promise of ErrRecordTimeout, ErrRecordRetries, ErrAborting or ErrClientClosed can stand for a
// record that never left or for one whose first attempt was lost after it was written.

// What a broker, or kgo in its place, refuses for what it is: no attempt can have been taken.
var neverWritten = []*kerr.Error{
	kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidTopicException,
	kerr.InvalidRequiredAcks, kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	kerr.UnsupportedForMessageFormat, kerr.InvalidRecord, kerr.InvalidTimestamp,
	kerr.UnsupportedCompressionType, kerr.TransactionalIDAuthorizationFailed,
}

// Answers of a broker that leave open whether the request took effect.
var openAnswers = []*kerr.Error{
	kerr.UnknownServerError, kerr.RequestTimedOut, kerr.NetworkException,
}

// Refused by kgo before it did anything. It exports no errors for these, so their words tell.
var refusals = []string{
	"cannot produce record transactionally if not in a transaction",
	"cannot produce record with no topic and no default topic",
	"invalid record partitioning choice",
	"unable to partition record due to no usable partitions",
	"invalid attempt to begin a transaction",
	"invalid group function call when not assigned a group",
	"already in a transaction",
}

// transactionAbortable is the code of an error that older versions do not know.
const transactionAbortable = 120

// errClosing ends what a close interrupts.
var errClosing = errors.New("a close came before it was over")

// errUnanswered is a partition that the broker said nothing of.
var errUnanswered = errors.New("the broker's answer lacks a partition that was asked for")

func refused(err error) bool {
	text := err.Error()
	return errors.Is(err, kgo.ErrMaxBuffered) ||
		slices.ContainsFunc(refusals, func(each string) bool { return strings.Contains(text, each) })
}

func answered(err error) *kerr.Error {
	var answer *kerr.Error
	if errors.As(err, &answer) {
		return answer
	}
	return nil
}

// outcomeOfSend is that of one record.
func outcomeOfSend(err error) kit.Outcome {
	if refused(err) || slices.Contains(neverWritten, answered(err)) {
		return kit.Fail
	}
	return kit.Info
}

// outcomeOfRequest is that of a request that kgo may have repeated: only where none of its attempts
// broke off is the answer that of all.
func outcomeOfRequest(err error, broke bool) kit.Outcome {
	answer := answered(err)
	if refused(err) || answer != nil && !broke && !slices.Contains(openAnswers, answer) {
		return kit.Fail
	}
	return kit.Info
}

// outcome is that of a whole command.
func outcome(op string, err error) kit.Outcome {
	if op == "open" || op != "close" && refused(err) { // what does not open is not there
		return kit.Fail
	}
	return kit.Info
}

var sentinels = map[error]string{
	kgo.ErrRecordTimeout:     "ErrRecordTimeout",
	kgo.ErrRecordRetries:     "ErrRecordRetries",
	kgo.ErrMaxBuffered:       "ErrMaxBuffered",
	kgo.ErrAborting:          "ErrAborting",
	kgo.ErrClientClosed:      "ErrClientClosed",
	context.Canceled:         "context.Canceled",
	context.DeadlineExceeded: "context.DeadlineExceeded",
}

// describe gives an error in the contract's form.
func describe(err error) kit.Error {
	described := kit.Error{Message: err.Error()}
	if answer := answered(err); answer != nil {
		described.Name = kit.ProtocolError(answer.Code)
		described.Retriable = answer.Retriable
		described.TxnRequiresAbort = answer.Code == transactionAbortable
	}
	var end *endError
	if errors.As(err, &end) {
		described.TxnRequiresAbort = end.abort
	}
	code := codeOf(err)
	described.Code = &code
	return described
}

// codeOf is what a Go program would test an error for.
func codeOf(err error) string {
	for sentinel, name := range sentinels {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	if answer := answered(err); answer != nil {
		return fmt.Sprintf("kerr.Error(%d)", answer.Code)
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"kafkalab/driver/kit"
)

// What an error of this client says about its operation: did it certainly not happen?
//
// sarama retries by itself and reports the last attempt only, so the error of a record is certain
// only if it excludes every earlier attempt: what the record is, not what went wrong on the way.
// ErrShuttingDown, a breaker that is open, ErrTransactionNotReady or a missing leader can each
// stand for a record that never left or for one whose first attempt was lost after it was written.

// What a broker refuses for what it is: no attempt can have been taken.
var neverWritten = []sarama.KError{
	sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge, sarama.ErrInvalidTopic,
	sarama.ErrInvalidRequiredAcks, sarama.ErrTopicAuthorizationFailed,
	sarama.ErrClusterAuthorizationFailed, sarama.ErrUnsupportedForMessageFormat,
	sarama.ErrInvalidRecord, sarama.ErrInvalidTimestamp, sarama.ErrUnsupportedCompressionType,
	sarama.ErrTransactionalIDAuthorizationFailed,
}

// Answers of a broker that leave open whether the request took effect.
var openAnswers = []sarama.KError{
	sarama.ErrUnknown, sarama.ErrRequestTimedOut, sarama.ErrNetworkException,
}

// Refused by the client itself, in the state that it was in.
var refusals = []error{
	sarama.ErrNonTransactedProducer, sarama.ErrTransitionNotAllowed, sarama.ErrTransactionNotReady,
	sarama.ErrInvalidPartition, sarama.ErrClosedClient, sarama.ErrClosedConsumerGroup,
}

// errClosing ends what a close interrupts.
var errClosing = errors.New("a close came before it was over")

// outcomeOfSend is that of one record.
func outcomeOfSend(err error) kit.Outcome {
	var refused sarama.ConfigurationError
	var answer sarama.KError
	switch {
	case errors.As(err, &refused), errors.Is(err, sarama.ErrInvalidPartition):
		return kit.Fail // sarama looks at the record before its first attempt
	case errors.As(err, &answer) && slices.Contains(neverWritten, answer):
		return kit.Fail
	}
	return kit.Info
}

// outcome is that of a whole command.
func outcome(op string, err error) kit.Outcome {
	var refused sarama.ConfigurationError
	var answer sarama.KError
	switch {
	case op == "open", errors.As(err, &refused): // what does not open is not there
		return kit.Fail
	case op == "close":
		return kit.Info
	case slices.ContainsFunc(refusals, func(each error) bool { return errors.Is(err, each) }):
		return kit.Fail
	case errors.As(err, &answer) && !slices.Contains(openAnswers, answer):
		return kit.Fail
	}
	return kit.Info
}

// outcomeOfEnd is that of a commit or abort of a transaction: sarama retries it, and an answer to
// the second attempt says nothing of the first.
func outcomeOfEnd(err error) kit.Outcome {
	var answer sarama.KError
	if errors.As(err, &answer) {
		return kit.Info
	}
	return outcome("txn", err)
}

var sentinels = map[error]string{
	sarama.ErrAddPartitionsToTxn:        "ErrAddPartitionsToTxn",
	sarama.ErrAlreadyConnected:          "ErrAlreadyConnected",
	sarama.ErrBrokerNotFound:            "ErrBrokerNotFound",
	sarama.ErrClosedClient:              "ErrClosedClient",
	sarama.ErrClosedConsumerGroup:       "ErrClosedConsumerGroup",
	sarama.ErrConsumerOffsetNotAdvanced: "ErrConsumerOffsetNotAdvanced",
	sarama.ErrControllerNotAvailable:    "ErrControllerNotAvailable",
	sarama.ErrIncompleteResponse:        "ErrIncompleteResponse",
	sarama.ErrInsufficientData:          "ErrInsufficientData",
	sarama.ErrInvalidPartition:          "ErrInvalidPartition",
	sarama.ErrMessageTooLarge:           "ErrMessageTooLarge",
	sarama.ErrNonTransactedProducer:     "ErrNonTransactedProducer",
	sarama.ErrNotConnected:              "ErrNotConnected",
	sarama.ErrOutOfBrokers:              "ErrOutOfBrokers",
	sarama.ErrShuttingDown:              "ErrShuttingDown",
	sarama.ErrTransactionNotReady:       "ErrTransactionNotReady",
	sarama.ErrTransitionNotAllowed:      "ErrTransitionNotAllowed",
	sarama.ErrTxnOffsetCommit:           "ErrTxnOffsetCommit",
	sarama.ErrTxnUnableToParseResponse:  "ErrTxnUnableToParseResponse",
}

// describe gives an error in the contract's form.
func describe(err error) kit.Error {
	described := kit.Error{Message: err.Error()}
	var answer sarama.KError
	if errors.As(err, &answer) {
		described.Name = kit.ProtocolError(int16(answer))
	}
	if !errors.Is(err, errClosing) && !errors.Is(err, errUnseen) { // else it is the driver's own
		code := codeOf(err)
		described.Code = &code
	}
	var state *stateError
	if errors.As(err, &state) {
		described.Fatal = state.state&sarama.ProducerTxnFlagFatalError != 0
		described.TxnRequiresAbort = state.state&sarama.ProducerTxnFlagAbortableError != 0
	}
	return described
}

// codeOf is what a Go program would test an error for.
func codeOf(err error) string {
	var answer sarama.KError
	if errors.As(err, &answer) {
		return fmt.Sprintf("KError(%d)", int16(answer))
	}
	for sentinel, name := range sentinels {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

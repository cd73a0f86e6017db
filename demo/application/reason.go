package application

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// The reasons of failed requests, in a client's view.
const (
	ReasonTimeout = "timeout"
	ReasonReset   = "connection reset"
	ReasonRefused = "connection refused"
	ReasonClosed  = "connection closed"
)

// Reason puts an error into few words, so that equal ones can be counted.
func Reason(err error) string {
	var refusal *ServiceError
	switch {
	case errors.As(err, &refusal):
		return refusal.Code
	case IsReset(err):
		return ReasonReset
	case IsRefused(err):
		return ReasonRefused
	case IsTimeout(err):
		return ReasonTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return ReasonClosed
	}
	return err.Error()
}

// IsReset tells whether a connection ended with a TCP reset. The stacks' errors are compared by their text too: not each
// gives the system's error values.
func IsReset(err error) bool {
	return err != nil && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || strings.Contains(err.Error(), "connection reset by peer"))
}

// IsRefused tells whether a connection was answered with a TCP reset before it was made.
func IsRefused(err error) bool {
	return err != nil && (errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "connection refused"))
}

// IsTimeout tells whether a request had no answer in its time.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

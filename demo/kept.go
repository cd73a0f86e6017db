package demo

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"postern/cloud"
	"postern/demo/application"
)

// kept is one HTTPS connection that is kept open between requests, so that it can be seen what a change does to it. A
// client's pool would hide that.
type kept struct {
	client  *application.Client
	account string
	conn    net.Conn
	reader  *bufio.Reader
	limit   time.Duration
	number  int
}

// keep opens a connection from a machine to an account.
func (s *stage) keep(ctx context.Context, from cloud.Machine, client *application.Client, account string) (*kept, error) {
	k := &kept{client: client, account: account, limit: s.pace.patience()}
	err := s.until(ctx, "a connection to "+account, func(ctx context.Context) (bool, error) {
		secured, err := connect(ctx, from, client, account)
		if err != nil {
			return false, err
		}
		k.conn, k.reader = secured, bufio.NewReader(secured)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// connect opens one connection from a machine to an account.
func connect(ctx context.Context, from cloud.Machine, client *application.Client, account string) (net.Conn, error) {
	plain, err := from.DialContext(ctx, "tcp", net.JoinHostPort(client.Host(account), "443"))
	if err != nil {
		return nil, err
	}
	secured := tls.Client(plain, client.TLS(client.Host(account)))
	if err := secured.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	return secured, nil
}

func (k *kept) close() { k.conn.Close() }

// ask writes a row over the connection, whatever the service answers.
func (k *kept) ask(ctx context.Context) (*application.Answer, error) {
	k.number++
	request, err := k.client.NewRequest(ctx, http.MethodPost, k.account, "/"+application.Table, map[string]any{
		"PartitionKey": fmt.Sprintf("kept-%p", k), "RowKey": fmt.Sprint(k.number), "Message": "still here",
	})
	if err != nil {
		return nil, err
	}
	if err := k.conn.SetDeadline(time.Now().Add(k.limit)); err != nil {
		return nil, err
	}
	if err := request.Write(k.conn); err != nil {
		return nil, fmt.Errorf("write over the open connection to %s: %w", k.account, err)
	}
	response, err := http.ReadResponse(k.reader, request)
	if err != nil {
		return nil, fmt.Errorf("read from the open connection to %s: %w", k.account, err)
	}
	return application.ReadAnswer(response)
}

// askReset asks and expects the connection to be reset; it answers what happened in words.
func (s *scene) askReset(ctx context.Context, k *kept) string {
	answer, err := k.ask(ctx)
	switch {
	case application.IsReset(err):
		return application.ReasonReset
	case err != nil:
		s.expect(false, "the open connection to %s: want it reset, met %v", k.account, err)
		return application.Reason(err)
	}
	s.expect(false, "the open connection to %s: want it reset (SE-3), it answered %d", k.account, answer.Status)
	return fmt.Sprintf("answered %d", answer.Status)
}

// askAnswer asks and expects an answer with a status.
func (s *scene) askAnswer(ctx context.Context, k *kept, status int) {
	answer, err := k.ask(ctx)
	switch {
	case err != nil:
		s.expect(false, "the open connection to %s: want status %d, met %v", k.account, status, err)
	case answer.Status != status:
		s.expect(false, "the open connection to %s: want status %d, got %d", k.account, status, answer.Status)
	}
}

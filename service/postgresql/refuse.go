package postgresql

import (
	"context"
	"fmt"
	"time"

	"postern/firewall"
	"postern/protocol/postgres"
	"postern/service"
)

// States of SQL that refusals have (PostgreSQL documentation, appendix "PostgreSQL Error Codes").
const (
	stateNotAuthorized = "28000" // invalid_authorization_specification
	stateRejected      = "08004" // sqlserver_rejected_establishment_of_sqlconnection
	stateNotNow        = "57P03" // cannot_connect_now
)

// refuse answers the error that Azure's servers answer (FW-12). Where the client has begun TLS, it gets it in TLS.
func (s *startup) refuse(d *service.Denial) error {
	if s.message == nil {
		ctx, cancel := context.WithTimeout(context.Background(), backendTimeout)
		defer cancel()
		if err := s.endTLS(ctx); err != nil {
			return err
		}
	}
	if s.message.Kind == postgres.Cancel {
		return nil // nobody is answered, by the protocol
	}
	state, text := s.words(d)
	_ = s.session.Client.SetWriteDeadline(time.Now().Add(backendTimeout))
	_, err := s.session.Client.Write(postgres.ErrorResponse(state, text))
	return err
}

func (s *startup) words(d *service.Denial) (state, text string) {
	switch d.Fault {
	case service.Forbidden:
		if d.Kind == firewall.Endpoint {
			return stateNotAuthorized, "Client from Azure Virtual Networks is not allowed to access the server. Please make sure your Virtual Network is correctly configured."
		}
		encryption := "off"
		if s.hello != nil {
			encryption = "on"
		}
		user, database := s.message.Value("user"), s.message.Value("database")
		if database == "" {
			database = user
		}
		return stateNotAuthorized, fmt.Sprintf("no pg_hba.conf entry for host %q, user %q, database %q, SSL %s", d.Caller.Addr(), user, database, encryption)
	case service.NotServed, service.BackendDown:
		return stateNotNow, "The server is not available: its backend does not answer. Please retry."
	}
	return stateRejected, fmt.Sprintf("There is no server %q here.", d.Host)
}

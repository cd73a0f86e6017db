package visit

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"postern/protocol/mysql"
	"postern/protocol/postgres"
	"postern/protocol/tds"
)

// PostgreSQL logs in as psql does with sslmode=require, and answers the server's version. The error is a
// *postgres.ServerError where the server says no.
func (v *Visitor) PostgreSQL(ctx context.Context, host, user, database string) (string, error) {
	raw, err := v.connect(ctx, host, "5432")
	if err != nil {
		return "", err
	}
	defer raw.Close()
	version, err := v.logInPostgreSQL(raw, host, user, database)
	return version, plain(err)
}

func (v *Visitor) logInPostgreSQL(raw net.Conn, host, user, database string) (version string, err error) {
	var answer [1]byte
	if _, err := raw.Write(postgres.Request(postgres.SSLRequest)); err != nil {
		return "", err
	}
	if _, err := raw.Read(answer[:]); err != nil {
		return "", err
	}
	if answer[0] != postgres.Accept {
		return "", fmt.Errorf("the server answers %q to a request for TLS", answer[0])
	}
	conn := v.secure(raw, host)
	defer conn.Close()
	start := postgres.Message{Parameters: []postgres.Parameter{{Name: "user", Value: user}, {Name: "database", Value: database}}}
	if _, err := conn.Write(start.Marshal()); err != nil {
		return "", err
	}
	for {
		reply, err := postgres.ReadReply(conn)
		if err != nil {
			return "", err
		}
		switch reply.Type {
		case postgres.TypeError:
			refused, err := reply.ServerError()
			if err != nil {
				return "", err
			}
			return "", refused
		case postgres.TypeParameterStatus:
			if parameter, err := reply.Parameter(); err == nil && parameter.Name == "server_version" {
				version = parameter.Value
			}
		case postgres.TypeReadyForQuery:
			return "logged in, PostgreSQL " + version, nil
		}
	}
}

// MySQL logs in as the mysql client does with --ssl-mode=DISABLED, and answers the server's version. The error is a
// *mysql.ServerError where the server says no.
func (v *Visitor) MySQL(ctx context.Context, host, user string) (string, error) {
	conn, err := v.connect(ctx, host, "3306")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	version, err := logInMySQL(conn, user)
	return version, plain(err)
}

func logInMySQL(conn net.Conn, user string) (string, error) {
	greeting, err := mysql.ReadPacket(conn)
	if err != nil {
		return "", err
	}
	version, err := greeting.Version()
	if err != nil {
		return "", err
	}
	if _, err := conn.Write(mysql.Login(user)); err != nil {
		return "", err
	}
	answer, err := mysql.ReadPacket(conn)
	if err != nil {
		return "", err
	}
	return "logged in, MySQL " + version, answer.Accepted()
}

// SQL logs in as sqlcmd does, over TDS 7 with TLS, and answers what the server says it is. The error is a *tds.Error where
// the server says no.
func (v *Visitor) SQL(ctx context.Context, host, user string) (string, error) {
	raw, err := v.connect(ctx, host, "1433")
	if err != nil {
		return "", err
	}
	defer raw.Close()
	program, err := v.logInSQL(raw, host, user)
	return program, plain(err)
}

func (v *Visitor) logInSQL(raw net.Conn, host, user string) (string, error) {
	if _, err := raw.Write(tds.Packet(tds.PreLogin, tds.MarshalPreLogin(tds.EncryptionOn))); err != nil {
		return "", err
	}
	if _, err := tds.Read(raw, tds.Reply); err != nil {
		return "", err
	}
	wrapped, config := tds.Wrap(raw), v.trusting(host)
	config.MaxVersion = tls.VersionTLS12 // whose handshake ends in the packets
	conn := tls.Client(wrapped, config)
	if err := conn.Handshake(); err != nil {
		return "", err
	}
	wrapped.HandshakeDone()
	if _, err := conn.Write(tds.MarshalLogin(user, host)); err != nil {
		return "", err
	}
	answer, err := tds.Read(conn, tds.Reply)
	if err != nil {
		return "", err
	}
	program, err := tds.ReadLoginAnswer(answer.Content)
	return "logged in, " + program, err
}

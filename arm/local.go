package arm

import (
	"context"
	"net"

	"postern/signin"
)

// local marks the connections of a listener that none but the cloud's owner can reach.
type local struct{}

// AsLocalOwner is the http.Server.ConnContext of the socket in the state folder: whoever can open it owns the cloud, and
// needs no token. It is the listener that says so; nothing that a client sends can.
func AsLocalOwner(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, local{}, signin.LocalOwner)
}

// localOwner is the caller of a request that came in by such a listener.
func (r *request) localOwner() (signin.Caller, bool) {
	caller, ok := r.Context().Value(local{}).(signin.Caller)
	return caller, ok
}

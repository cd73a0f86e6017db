package gateway

import "postern/model"

// pass serves a connection that is not HTTP.
func (g *Gateway) pass(c *connection, way model.Way) {
	c.Close()
}

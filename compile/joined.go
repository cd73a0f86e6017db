package compile

import (
	"slices"

	"postern/model"
	"postern/plan"
)

// part is what a network is to one gateway or edge.
type part struct {
	subnets  []plan.Subnet
	machines []plan.Machine
	names    []plan.VirtualNetwork
	egress   []plan.EgressNIC
}

// whole is what a gateway or an edge has of all networks, in the order of their numbers.
type whole struct {
	subnets  joined[plan.Subnet]
	machines joined[plan.Machine]
	names    joined[plan.VirtualNetwork]
	egress   joined[plan.EgressNIC]
	offer    *offer // of a gateway
}

// wholeOf is what a node has of all networks. It lives as long as the index.
func (in *indexed) wholeOf(node string) *whole {
	if in.whole[node] == nil {
		in.whole[node] = &whole{}
	}
	return in.whole[node]
}

// joined is a list that is put together of parts. It is the very same list as long as the parts are.
type joined[T any] struct {
	parts [][]T
	list  []T
}

// divide makes a network's part of every gateway and edge.
func (in *indexed) divide(network *network) {
	for _, node := range in.Nodes {
		switch node.Role {
		case model.RoleGateway:
			network.parts[node.Name] = in.gatewayPart(network, node)
		case model.RoleEdge:
			network.parts[node.Name] = in.edgePart(network, node)
		}
	}
}

// of is the list of a node's parts of the networks.
func (j *joined[T]) of(networks []*network, node string, choose func(*part) []T) []T {
	parts := make([][]T, 0, len(networks))
	for _, one := range networks {
		if part := choose(one.parts[node]); len(part) > 0 {
			parts = append(parts, part)
		}
	}
	if j.list == nil || !slices.EqualFunc(j.parts, parts, same[T]) {
		j.parts, j.list = parts, append(make([]T, 0), slices.Concat(parts...)...)
	}
	return j.list
}

// same tells whether two lists are one, not whether they are equal.
func same[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

package arm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postern/explain"
	"postern/model"
	"postern/resource"
	"postern/servicetag"
)

// watcherRoutes are the questions about packets and what they follow from: to a network watcher, to a NIC, to a region.
func watcherRoutes() map[string]methods {
	return map[string]methods{
		"microsoft.network/networkwatchers/*": {"GET": {"", getResource}, "HEAD": {"", headResource}, "PUT": {"", putResource},
			"PATCH": {"", patchResource}, "DELETE": {"", deleteWatcher}},
		"microsoft.network/networkwatchers/*/nexthop":                          {"POST": {"", nextHop}},
		"microsoft.network/networkwatchers/*/ipflowverify":                     {"POST": {"", verifyFlow}},
		"microsoft.network/networkwatchers/*/connectivitycheck":                {"POST": {"", checkConnectivity}},
		"microsoft.network/networkwatchers/*/topology":                         {"POST": {"", showTopology}},
		"microsoft.network/networkwatchers/*/securitygroupview":                {"POST": {"", viewSecurityGroups}},
		"microsoft.network/networkwatchers/*/networkconfigurationdiagnostic":   {"POST": {"", diagnoseConfiguration}},
		"microsoft.network/networkinterfaces/*/effectivenetworksecuritygroups": {"POST": {"", effectiveGroups}},
		"microsoft.network/locations/*/servicetagdetails":                      {"GET": {"", listTagDetails}},
		"microsoft.network/locations/*/availableservicealiases":                {"GET": {"", listServiceAliases}},
		"microsoft.network/locations/*/virtualnetworkavailableservicealiases":  {"GET": {"", listServiceAliases}},
	}
}

// deleteWatcher answers 204 where other types answer 200: clients of watchers take no other.
func deleteWatcher(r *request) (int, any, error) {
	status, answer, err := deleteResource(r)
	if status == http.StatusOK {
		status = http.StatusNoContent
	}
	return status, answer, err
}

// watch is a question to a network watcher: the cloud that it is about, and whom it may ask.
type watch struct {
	request   *request
	location  string // the watcher's
	snapshot  *model.Snapshot
	catalogue *servicetag.Catalogue
}

// watch reads a question's body into a struct, and finds the watcher.
func (r *request) watch(question any) (*watch, error) {
	id, snapshot, err := r.subject()
	if err != nil {
		return nil, err
	}
	answer, err := r.door.API.Get(r.Context(), id)
	if err != nil {
		return nil, r.missing(err)
	}
	var watcher struct {
		Location string `json:"location"`
	}
	if err := json.Unmarshal(answer, &watcher); err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	catalogue, err := r.door.Catalogue(r.Context())
	if err != nil {
		return nil, err
	}
	data, err := r.body()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, question); err != nil {
		return nil, badQuestion("", "The body is no question of this kind: %v.", err)
	}
	return &watch{r, watcher.Location, snapshot, catalogue}, nil
}

func badQuestion(field, format string, args ...any) error {
	return &resource.Error{Code: resource.CodeInvalidRequestContent, Status: http.StatusBadRequest, Target: field, Message: fmt.Sprintf(format, args...)}
}

// readable refuses a question about a resource that the caller may not read: the answer would tell of it (GOV-1).
func (w *watch) readable(id resource.ID) error {
	if w.request.mayRead(id) {
		return nil
	}
	return Forbidden(w.request.caller, id.Type()+"/read", id.String())
}

// machine finds the VM that a question is about; it must be in the watcher's region.
func (w *watch) machine(target string) (*model.VirtualMachine, error) {
	id, err := resource.ParseID(target)
	if err != nil || !strings.EqualFold(id.Type(), resource.TypeVirtualMachine) {
		return nil, badQuestion("targetResourceId", "'%.200s' is not the id of a virtual machine.", target)
	}
	if err := w.readable(id); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(w.snapshot.VirtualMachines, func(vm *model.VirtualMachine) bool { return vm.ID.Is(id.Model()) })
	if at < 0 {
		return nil, resource.NotFound(id)
	}
	machine := w.snapshot.VirtualMachines[at]
	if !strings.EqualFold(string(machine.Location), w.location) {
		return nil, badQuestion("targetResourceId", "Virtual machine %s is in %s, and this network watcher is for %s: ask the one of the machine's region.",
			machine.ID.Name(), machine.Location, w.location)
	}
	return machine, nil
}

// interfaces are a VM's NICs.
func (w *watch) interfaces(machine *model.VirtualMachine) []*model.NetworkInterface {
	var list []*model.NetworkInterface
	for i := range w.snapshot.NetworkInterfaces {
		if nic := w.snapshot.NetworkInterfaces[i]; slices.ContainsFunc(machine.NetworkInterfaces, nic.ID.Is) {
			list = append(list, nic)
		}
	}
	return list
}

// endpoint finds the NIC that a question is about: the one that it names, the VM's one with an address, or its only one.
func (w *watch) endpoint(machine *model.VirtualMachine, named string, address netip.Addr) (*model.NetworkInterface, error) {
	if id, err := resource.ParseID(named); err == nil {
		if err := w.readable(id); err != nil {
			return nil, err
		}
	}
	own := w.interfaces(machine)
	for _, nic := range own {
		if named != "" && nic.ID.Is(model.ResourceID(named)) || named == "" && (len(own) == 1 || nic.IPv4 == address) {
			return nic, nil
		}
	}
	return nil, badQuestion("targetNicResourceId", "Virtual machine %s has %d network interfaces, and none of them is '%.200s' or has the address %v: name one of them.",
		machine.ID.Name(), len(own), named, address)
}

// cloud is what packets are judged by, at the question's revision.
func (w *watch) cloud() (*explain.Cloud, error) {
	return w.request.door.Inspector.At(w.snapshot, w.catalogue)
}

// unjudged gives explain's errors ARM's form.
func unjudged(err error) error {
	var uncarried *explain.NotCarriedError
	var target *explain.TargetError
	switch {
	case errors.As(err, &uncarried):
		return &resource.Error{Code: "OperationNotAllowed", Status: http.StatusConflict, Target: string(uncarried.NIC), Message: err.Error() + "."}
	case errors.As(err, &target):
		return badQuestion("", "%v.", err)
	}
	return err
}

type nextHopAnswer struct {
	Type       string `json:"nextHopType"`
	Address    string `json:"nextHopIpAddress,omitempty"`
	RouteTable string `json:"routeTableId"`
}

// systemRoute stands for the route table of a route that is of none.
const systemRoute = "System Route"

// nextHop answers where a VM's packets to an address go first.
func nextHop(r *request) (int, any, error) {
	var question struct {
		Target      string `json:"targetResourceId"`
		Source      string `json:"sourceIPAddress"`
		Destination string `json:"destinationIPAddress"`
		NIC         string `json:"targetNicResourceId"`
	}
	w, err := r.watch(&question)
	if err != nil {
		return 0, nil, err
	}
	machine, err := w.machine(question.Target)
	if err != nil {
		return 0, nil, err
	}
	source, err := readAddress(question.Source, "sourceIPAddress")
	if err != nil {
		return 0, nil, err
	}
	destination, err := readAddress(question.Destination, "destinationIPAddress")
	if err != nil {
		return 0, nil, err
	}
	nic, err := w.endpoint(machine, question.NIC, source)
	if err != nil {
		return 0, nil, err
	}
	if nic.IPv4 != source && !nic.EnableIPForwarding {
		return 0, nil, badQuestion("sourceIPAddress", "Network interface %s has the address %v and does not forward: nothing leaves it from %v.", nic.ID.Name(), nic.IPv4, source)
	}
	cloud, err := w.cloud()
	if err != nil {
		return 0, nil, err
	}
	hop, err := explain.FindNextHop(cloud, nic, destination)
	if err != nil {
		return 0, nil, unjudged(err)
	}
	answer := nextHopAnswer{Type: hop.Type, RouteTable: systemRoute}
	if hop.Address.IsValid() {
		answer.Address = hop.Address.String()
	}
	if subnet := w.subnet(nic.Subnet); hop.User && subnet != nil {
		answer.RouteTable = string(subnet.RouteTable)
	}
	return http.StatusOK, answer, nil
}

// subnet finds a subnet; nil for none.
func (w *watch) subnet(id model.ResourceID) *model.Subnet {
	for i := range w.snapshot.VirtualNetworks {
		for j := range w.snapshot.VirtualNetworks[i].Subnets {
			if subnet := &w.snapshot.VirtualNetworks[i].Subnets[j]; subnet.ID.Is(id) {
				return subnet
			}
		}
	}
	return nil
}

type flowAnswer struct {
	Access   string `json:"access"`
	RuleName string `json:"ruleName"`
}

// verifyFlow answers whether security groups let a packet of a VM pass, and which rule decides. Without any group all pass,
// and no rule is named.
func verifyFlow(r *request) (int, any, error) {
	var question struct {
		Target    string `json:"targetResourceId"`
		NIC       string `json:"targetNicResourceId"`
		Direction string `json:"direction"`
		Protocol  string `json:"protocol"`
		Local     string `json:"localIPAddress"`
		LocalPort string `json:"localPort"`
		Remote    string `json:"remoteIPAddress"`
		Port      string `json:"remotePort"`
	}
	w, err := r.watch(&question)
	if err != nil {
		return 0, nil, err
	}
	flow := explain.FlowQuestion{Inbound: strings.EqualFold(question.Direction, "Inbound")}
	if !flow.Inbound && !strings.EqualFold(question.Direction, "Outbound") {
		return 0, nil, badQuestion("direction", "The direction '%.40s' is none: use Inbound or Outbound.", question.Direction)
	}
	switch strings.ToLower(question.Protocol) {
	case "tcp":
		flow.Protocol = model.ProtocolTCP
	case "udp":
		flow.Protocol = model.ProtocolUDP
	default:
		return 0, nil, badQuestion("protocol", "The protocol '%.40s' cannot be verified: use TCP or UDP.", question.Protocol)
	}
	machine, err := w.machine(question.Target)
	if err != nil {
		return 0, nil, err
	}
	// Only the side that opens the connection may leave its port open.
	if flow.Local, err = readEndpoint(question.Local, question.LocalPort, "local", !flow.Inbound); err != nil {
		return 0, nil, err
	}
	if flow.Remote, err = readEndpoint(question.Remote, question.Port, "remote", flow.Inbound); err != nil {
		return 0, nil, err
	}
	if flow.NIC, err = w.endpoint(machine, question.NIC, flow.Local.Addr()); err != nil {
		return 0, nil, err
	}
	cloud, err := w.cloud()
	if err != nil {
		return 0, nil, err
	}
	decided, err := explain.Flow(cloud, flow)
	if err != nil {
		return 0, nil, unjudged(err)
	}
	answer := flowAnswer{Access: "Deny"}
	if decided.Allowed {
		answer.Access = "Allow"
	}
	if rule := decided.Decided; rule != nil {
		answer.RuleName = ruleName(rule.Rule, rule.Default())
	}
	return http.StatusOK, answer, nil
}

func readAddress(text, field string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return netip.Addr{}, badQuestion(field, "'%.40s' is not an IPv4 address.", text)
	}
	return address, nil
}

// readEndpoint reads an address and a port, which may be "*", that is 0, where it is the port of who opens the connection.
func readEndpoint(text, number, field string, opens bool) (netip.AddrPort, error) {
	address, err := readAddress(text, field+"IPAddress")
	if err != nil {
		return netip.AddrPort{}, err
	}
	if number == "*" && opens {
		return netip.AddrPortFrom(address, 0), nil
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, badQuestion(field+"Port", "The port '%.40s' is none: use 1 to 65535, or * for the port of the side that opens the connection.", number)
	}
	return netip.AddrPortFrom(address, uint16(port)), nil
}

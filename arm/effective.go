package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"postern/compile"
	"postern/model"
	"postern/resource"
)

type reference struct {
	ID model.ResourceID `json:"id"`
}

type effectiveGroup struct {
	Group       reference           `json:"networkSecurityGroup"`
	Association effectiveAttachment `json:"association"`
	Rules       []effectiveRule     `json:"effectiveSecurityRules"`
	Tags        map[string][]string `json:"tagMap,omitempty"`
}

// effectiveAttachment has one of its members: what the group is attached to.
type effectiveAttachment struct {
	Subnet           *reference `json:"subnet,omitempty"`
	NetworkInterface *reference `json:"networkInterface,omitempty"`
}

type effectiveRule struct {
	Name                string   `json:"name"`
	Protocol            string   `json:"protocol"`
	SourcePort          string   `json:"sourcePortRange"`
	SourcePorts         []string `json:"sourcePortRanges"`
	DestinationPort     string   `json:"destinationPortRange"`
	DestinationPorts    []string `json:"destinationPortRanges"`
	Source              string   `json:"sourceAddressPrefix,omitempty"`
	Sources             []string `json:"sourceAddressPrefixes"`
	ExpandedSource      []string `json:"expandedSourceAddressPrefix,omitempty"`
	Destination         string   `json:"destinationAddressPrefix,omitempty"`
	Destinations        []string `json:"destinationAddressPrefixes"`
	ExpandedDestination []string `json:"expandedDestinationAddressPrefix,omitempty"`
	Access              string   `json:"access"`
	Priority            int      `json:"priority"`
	Direction           string   `json:"direction"`
}

// effectiveGroups answers the security groups that hold for a NIC, with what tags and application security groups stand for,
// by the rule lists that its host judges with (NSG-1 to NSG-4).
func effectiveGroups(r *request) (int, any, error) {
	nic, snapshot, catalogue, err := r.networkInterface()
	if err != nil {
		return 0, nil, err
	}
	groups, err := r.door.Compiler.EffectiveGroups(snapshot, catalogue, nic)
	if err != nil {
		return 0, nil, err
	}
	value := []effectiveGroup{}
	for _, group := range groups {
		one := effectiveGroup{Group: reference{group.ID}, Association: effectiveAttachment{NetworkInterface: &reference{nic.ID}},
			Rules: effectiveRules(group), Tags: map[string][]string{}}
		if group.Subnet {
			one.Association = effectiveAttachment{Subnet: &reference{nic.Subnet}}
		}
		for tag, prefixes := range group.Tags {
			one.Tags[tag] = texts(prefixes)
		}
		value = append(value, one)
	}
	return http.StatusOK, list{Value: value}, nil
}

func effectiveRules(group compile.EffectiveGroup) []effectiveRule {
	rules := []effectiveRule{}
	for i := range group.Rules {
		rule := &group.Rules[i]
		one := effectiveRule{Name: ruleName(rule.Name, rule.Default), Protocol: effectiveProtocol(rule.Protocol), Priority: rule.Priority,
			Access: "Deny", Direction: "Outbound", SourcePorts: portTexts(rule.SourcePorts), DestinationPorts: portTexts(rule.DestinationPorts)}
		if rule.Allow {
			one.Access = "Allow"
		}
		if rule.Inbound {
			one.Direction = "Inbound"
		}
		one.SourcePort, one.DestinationPort = one.SourcePorts[0], one.DestinationPorts[0]
		one.Source, one.Sources, one.ExpandedSource = peerTexts(&rule.SecurityRule.Source, rule.Source)
		one.Destination, one.Destinations, one.ExpandedDestination = peerTexts(&rule.SecurityRule.Destination, rule.Destination)
		rules = append(rules, one)
	}
	return rules
}

// ruleName is a security rule as effective rules and ipFlowVerify name it.
func ruleName(name string, standard bool) string {
	if standard {
		return "defaultSecurityRules/" + name
	}
	return "securityRules/" + name
}

func effectiveProtocol(protocol model.Protocol) string {
	switch protocol {
	case model.ProtocolTCP:
		return "Tcp"
	case model.ProtocolUDP:
		return "Udp"
	case model.ProtocolICMP:
		return "Icmp"
	case 50:
		return "Esp"
	case 51:
		return "Ah"
	}
	return "All"
}

func portTexts(ranges []model.PortRange) []string {
	if len(ranges) == 0 {
		ranges = []model.PortRange{model.AllPorts}
	}
	var list []string
	for _, ports := range ranges {
		list = append(list, fmt.Sprintf("%d-%d", ports.First, ports.Last))
	}
	return list
}

// peerTexts is a side of a rule as it was written, and what a tag or application security groups in it stand for.
func peerTexts(peers *model.SecurityPeers, expanded []netip.Prefix) (one string, all, stand []string) {
	switch {
	case peers.Any:
		all = []string{"0.0.0.0/0"}
	case peers.Tag != "":
		all = append([]string{peers.Tag}, texts(peers.Prefixes)...)
	default:
		all = texts(peers.Prefixes)
	}
	if peers.Tag != "" || len(peers.ASGs) > 0 {
		stand = texts(expanded)
	}
	if len(all) > 0 {
		one = all[0]
	}
	return one, all, stand
}

func texts(prefixes []netip.Prefix) []string {
	list := make([]string, 0, len(prefixes))
	for _, prefix := range prefixes {
		list = append(list, prefix.String())
	}
	return list
}

type securityGroupView struct {
	NetworkInterfaces []viewedInterface `json:"networkInterfaces"`
}

type viewedInterface struct {
	ID           model.ResourceID `json:"id"`
	Associations struct {
		Interface *viewedGroup      `json:"networkInterfaceAssociation,omitempty"`
		Subnet    *viewedGroup      `json:"subnetAssociation,omitempty"`
		Defaults  []json.RawMessage `json:"defaultSecurityRules,omitempty"`
		Effective []effectiveRule   `json:"effectiveSecurityRules"`
	} `json:"securityRuleAssociations"`
}

// viewedGroup is a NIC or a subnet with its group's own rules, as ARM answers them.
type viewedGroup struct {
	ID    model.ResourceID  `json:"id"`
	Rules []json.RawMessage `json:"securityRules"`
}

// viewSecurityGroups answers the rules that hold for all NICs of a VM.
func viewSecurityGroups(r *request) (int, any, error) {
	var question struct {
		Target string `json:"targetResourceId"`
	}
	q, err := r.watch(&question)
	if err != nil {
		return 0, nil, err
	}
	machine, err := q.machine(question.Target)
	if err != nil {
		return 0, nil, err
	}
	view := securityGroupView{NetworkInterfaces: []viewedInterface{}}
	for _, nic := range q.interfaces(machine) {
		groups, err := r.door.Compiler.EffectiveGroups(q.snapshot, q.catalogue, nic)
		if err != nil {
			return 0, nil, err
		}
		one := viewedInterface{ID: nic.ID}
		one.Associations.Effective = []effectiveRule{}
		for _, group := range groups {
			id, err := resource.ParseID(string(group.ID))
			if err != nil {
				return 0, nil, err
			}
			if one.Associations.Defaults == nil { // each group has the same
				if one.Associations.Defaults, err = r.defaultRulesOf(id); err != nil {
					return 0, nil, err
				}
			}
			rules, err := r.door.API.ListChildren(r.Context(), id, "securityRules", "", 0)
			if err != nil {
				return 0, nil, err
			}
			if group.Subnet {
				one.Associations.Subnet = &viewedGroup{nic.Subnet, rules.Resources}
			} else {
				one.Associations.Interface = &viewedGroup{nic.ID, rules.Resources}
			}
			for _, rule := range effectiveRules(group) {
				rule.Name = rule.Name[strings.LastIndexByte(rule.Name, '/')+1:]
				one.Associations.Effective = append(one.Associations.Effective, rule)
			}
		}
		view.NetworkInterfaces = append(view.NetworkInterfaces, one)
	}
	return http.StatusOK, view, nil
}

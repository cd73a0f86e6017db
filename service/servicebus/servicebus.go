// Package servicebus describes Microsoft.ServiceBus/namespaces: queues and topics over AMQP and HTTP.
package servicebus

import (
	"postern/model"
	"postern/service"
	"postern/service/messaging"
)

// TypeNamespace is the resource type.
const TypeNamespace = "Microsoft.ServiceBus/namespaces"

// Service is the description.
var Service = &service.Service{
	Name:      "servicebus",
	Endpoint:  "Microsoft.ServiceBus",
	Space:     messaging.Space,
	Zones:     messaging.Zones("servicebus"),
	ValidName: messaging.ValidName,
	Audiences: []string{"https://servicebus.azure.net"},
	Trusted:   trusted,
	Actions:   messaging.Actions(TypeNamespace),
	HTTP:      messaging.HTTP,
	Startups:  map[model.Way]service.Startup{messaging.WayAMQP: messaging.OpenAMQP},
	Types: []service.Type{messaging.Type(TypeNamespace, "Service Bus namespace",
		messaging.Models{Namespace: "servicebus.SBNamespace", Update: "servicebus.SBNamespaceUpdateParameters", RuleSet: "servicebus.NetworkRuleSet"}, ports, nil,
		"2024-01-01", "2022-10-01-preview", "2021-11-01", "2021-06-01-preview", "2017-04-01")},
}

var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}, {Number: 5671, Way: messaging.WayAMQP}}

// trusted are services that a namespace lets in by the managed identity of one of their resources
// (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-service-endpoints).
var trusted = []string{
	"Microsoft.ApiManagement/service", "Microsoft.EventGrid/topics", "Microsoft.EventGrid/domains", "Microsoft.EventGrid/systemTopics",
	"Microsoft.HealthcareApis/services", "Microsoft.HealthcareApis/workspaces", "Microsoft.IoTCentral/IoTApps", "Microsoft.Devices/IotHubs",
	"Microsoft.StreamAnalytics/streamingjobs",
}

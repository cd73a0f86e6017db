// Package eventhub describes Microsoft.EventHub/namespaces: event hubs over AMQP, Kafka and HTTP.
package eventhub

import (
	"postern/model"
	"postern/service"
	"postern/service/messaging"
)

// TypeNamespace is the resource type.
const TypeNamespace = "Microsoft.EventHub/namespaces"

// Service is the description.
var Service = &service.Service{
	Name:      "eventhub",
	Endpoint:  "Microsoft.EventHub",
	Space:     messaging.Space,
	Zones:     messaging.Zones("eventhub"),
	ValidName: messaging.ValidName,
	Audiences: []string{"https://eventhubs.azure.net"},
	Trusted:   trusted,
	Actions:   messaging.Actions(TypeNamespace),
	HTTP:      messaging.HTTP,
	Startups:  map[model.Way]service.Startup{messaging.WayAMQP: messaging.OpenAMQP, wayKafka: openKafka},
	Types: []service.Type{messaging.Type(TypeNamespace, "Event Hubs namespace",
		messaging.Models{Namespace: "eventhub.EHNamespace", Update: "eventhub.EHNamespace", RuleSet: "eventhub.NetworkRuleSet"}, ports, render,
		"2024-01-01", "2022-10-01-preview", "2021-11-01", "2021-06-01-preview", "2018-01-01-preview", "2017-04-01")},
}

var ports = []model.ServicePort{{Number: 443, Way: model.WayHTTPS}, {Number: 5671, Way: messaging.WayAMQP}, {Number: 9093, Way: wayKafka}}

// trusted are services that a namespace lets in by the managed identity of one of their resources
// ("Allow access to Azure Event Hubs namespaces from specific virtual networks", Trusted Microsoft services).
var trusted = []string{
	"Microsoft.ApiManagement/service", "Microsoft.EventGrid/topics", "Microsoft.EventGrid/domains", "Microsoft.EventGrid/systemTopics",
	"Microsoft.HealthcareApis/services", "Microsoft.HealthcareApis/workspaces", "Microsoft.IoTCentral/IoTApps", "Microsoft.Devices/IotHubs",
	"Microsoft.StreamAnalytics/streamingjobs",
}

func render(a *service.Answer) {
	service.Fill(a.Properties, "kafkaEnabled", true)
	service.Fill(a.Properties, "isAutoInflateEnabled", false)
	service.Fill(a.Properties, "maximumThroughputUnits", 0)
}

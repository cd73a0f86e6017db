package own

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"postern/model"
	"postern/service"
)

func read(t *testing.T, properties string) (*service.Instance, error) {
	t.Helper()
	into := &service.Instance{ServiceInstance: model.ServiceInstance{Name: "MinIO"}}
	body := &service.Body{JSON: []byte(`{"properties":{` + properties + `}}`),
		Subnet: func(id, _ string) (model.ResourceID, error) { return model.ResourceID(id), nil }}
	return into, decode(body, into)
}

func TestDecode(t *testing.T) {
	into, err := read(t, `"addressPrefixes":["192.0.2.16/28"],"ports":[{"port":9000,"protocol":"HTTP"},{"port":6379}],"names":["Minio.contoso.example"],
		"backends":["10.9.0.4:9000 weight=3","10.9.0.5:9000"],"proxyProtocol":"v2","healthPath":"/live",
		"networkAcls":{"defaultAction":"Deny","ipRules":[{"value":"20.1.2.3"}],"virtualNetworkRules":[{"id":"/a"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if into.Name != "minio" || into.Endpoint.Endpoint != "Postern.minio" || into.Endpoint.Tag != "Postern-minio" || into.Prefixes[0] != netip.MustParsePrefix("192.0.2.16/28") {
		t.Errorf("got %+v", into)
	}
	if into.Ports[0] != (model.ServicePort{Number: 9000, Way: model.WayHTTP}) || into.Ports[1].Way != model.WayTCP || into.Hosts[0] != "minio.contoso.example" {
		t.Errorf("got %+v", into)
	}
	if into.Backends[0] != (model.Backend{Address: "10.9.0.4:9000", Weight: 3}) || into.Backends[1].Weight != 1 || into.Delivery != (model.Delivery{ProxyProtocol: true, HealthPath: "/live"}) {
		t.Errorf("got %+v", into)
	}
	if into.Rules.DefaultAllow || !into.Rules.PublicNetworkAccess || len(into.Rules.IPRules) != 1 || into.Sources["/a"].Field != "properties.networkAcls.virtualNetworkRules[0].id" {
		t.Errorf("got %+v", into.Rules)
	}
}

func TestRefusals(t *testing.T) {
	const ports = `"ports":[{"port":80,"protocol":"http"}]`
	for properties, field := range map[string]string{
		`"ports":[]`:                                                                            "properties.ports",
		`"ports":[{"port":53}]`:                                                                 "properties.ports[0].port",
		`"ports":[{"port":70000}]`:                                                              "properties.ports[0].port",
		`"ports":[{"port":1,"protocol":"udp"}]`:                                                 "properties.ports[0].protocol",
		`"ports":[{"port":1},{"port":1}]`:                                                       "properties.ports[1].port",
		ports + `,"endpoint":"Microsoft.Redis"`:                                                 "properties.endpoint",
		ports + `,"endpoint":"redis"`:                                                           "properties.endpoint",
		ports + `,"addressPrefixes":["192.0.2.1/24"]`:                                           "properties.addressPrefixes[0]",
		ports + `,"addressPrefixes":["168.63.0.0/16"]`:                                          "properties.addressPrefixes[0]",
		ports + `,"addressPrefixes":["192.0.0.0/8"]`:                                            "properties.addressPrefixes[0]",
		ports + `,"names":["x.blob.core.windows.net"]`:                                          "properties.names[0]",
		ports + `,"names":["nodots"]`:                                                           "properties.names[0]",
		ports + `,"backends":["10.0.0.1"]`:                                                      "properties.backends[0]",
		ports + `,"backends":["10.0.0.1:1 weight=0"]`:                                           "properties.backends[0]",
		ports + `,"healthPath":"live"`:                                                          "properties.healthPath",
		ports + `,"networkAcls":{"ipRules":[{"value":"10.0.0.1"}]}`:                             "properties.networkAcls.ipRules[0].value", // FW-4
		ports + `,"serviceTag":"Storage","addressPrefixes":["192.0.2.0/24"]`:                    "properties.serviceTag",
		`"ports":[{"port":1,"protocol":"direct"}]`:                                              "properties.backends",
		`"ports":[{"port":1,"protocol":"direct"}],"backends":["10.0.0.1:80"]`:                   "properties.backends[0]",
		`"ports":[{"port":1,"protocol":"direct"}],"backends":["[fd00::1]:80","127.0.0.1:80"]`:   "properties.backends[1]",
		`"ports":[{"port":1,"protocol":"direct"}],"backends":["[::1]:80"],"proxyProtocol":"V2"`: "properties.proxyProtocol",
		`"ports":[{"port":1,"protocol":"direct"}],"backends":["[fe80::1]:80"]`:                  "properties.backends[0]",
		`"ports":[{"port":1,"protocol":"direct"}],"backends":["[::]:80"]`:                       "properties.backends[0]",
		`"ports":[{"port":1,"protocol":"direct"}],"backends":["[::1]:0"]`:                       "properties.backends[0]",
		`"ports":"many"`: "properties.ports",
	} {
		_, err := read(t, properties)
		var refusal *service.Refusal
		if !errors.As(err, &refusal) || refusal.Field != field || refusal.Code == "" || !strings.Contains(refusal.Message, " ") {
			t.Errorf("%s: got %v, want a refusal of %s", properties, err, field)
		}
	}
}

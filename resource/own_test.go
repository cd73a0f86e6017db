package resource

import (
	"errors"
	"fmt"
	"testing"

	"postern/model"
)

// own is a line that puts a service of the operator's own.
func own(name, properties string) string {
	if properties != "" {
		properties = "," + properties
	}
	return fmt.Sprintf(`put services/%s {"location":"westeurope","properties":{"ports":[{"port":80,"protocol":"http"}]%s}}`, name, properties)
}

func instanceOf(t *testing.T, cloud *Cloud, name string) *model.ServiceInstance {
	t.Helper()
	for _, one := range cloud.Snapshot().Instances {
		if one.Name == name {
			return one
		}
	}
	t.Fatalf("no instance %s", name)
	return nil
}

const ownVNet = `put virtualNetworks/own {"location":"westeurope","properties":{"addressSpace":{"addressPrefixes":["10.77.0.0/16"]},"subnets":[
	{"name":"a","properties":{"addressPrefix":"10.77.1.0/24","serviceEndpoints":[{"service":"%s"}]}}]}}`

func TestOwnEndpoint(t *testing.T) {
	cloud := must(t, sample(t), own("minio", `"endpoint":"Contoso.Store"`), own("ceph", `"endpoint":"Contoso.Store"`), own("redis", ""))
	minio, ceph, redis := instanceOf(t, cloud, "minio"), instanceOf(t, cloud, "ceph"), instanceOf(t, cloud, "redis")
	if minio.Endpoint != ceph.Endpoint || minio.Endpoint == redis.Endpoint || minio.Endpoint.Bit < model.FirstOwnBit ||
		minio.Endpoint.Identity < model.FirstSubnetIdentity || redis.Endpoint.Endpoint != "Postern.redis" {
		t.Errorf("got %+v, %+v, %+v", minio.Endpoint, ceph.Endpoint, redis.Endpoint)
	}
	if minio.Address == ceph.Address || !DefaultServiceAddresses.Contains(minio.Address) || len(minio.Prefixes) != 1 || !minio.Prefixes[0].IsSingleIP() {
		t.Errorf("addresses %v %v, prefixes %v", minio.Address, ceph.Address, minio.Prefixes)
	}
	if services := cloud.Snapshot().Services(); len(services) != len(model.Services)+2 {
		t.Errorf("%d services", len(services))
	}
	t.Run("a subnet enables it; it stays while one does", func(t *testing.T) {
		used := must(t, cloud, fmt.Sprintf(ownVNet, "Contoso.Store"))
		fewer := must(t, used, "delete services/ceph")
		_, err := change(t, fewer, "delete services/minio")
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Code != "InUseServiceCannotBeDeleted" {
			t.Errorf("got %v", err)
		}
		must(t, fewer, "delete virtualNetworks/own", "delete services/minio")
	})
	t.Run("both in one change", func(t *testing.T) {
		must(t, sample(t), fmt.Sprintf(ownVNet, "Contoso.Store"), own("minio", `"endpoint":"Contoso.Store","networkAcls":{"defaultAction":"Deny",
			"virtualNetworkRules":[{"id":"virtualNetworks/own/subnets/a"}]}`))
	})
	t.Run("an identity is never used again, a bit is", func(t *testing.T) {
		again := instanceOf(t, must(t, must(t, cloud, "delete services/redis"), own("redis", "")), "redis")
		if again.Endpoint.Identity == redis.Endpoint.Identity || again.Endpoint.Bit != redis.Endpoint.Bit {
			t.Errorf("got %+v, was %+v", again.Endpoint, redis.Endpoint)
		}
	})
	t.Run("it keeps both when it is written again", func(t *testing.T) {
		again := instanceOf(t, must(t, cloud, own("redis", `"healthPath":"/"`)), "redis")
		if again.Endpoint != redis.Endpoint || again.Address != redis.Address {
			t.Errorf("got %+v, was %+v", again, redis)
		}
	})
	for _, test := range []struct{ name, line, code string }{
		{"an endpoint of nobody", fmt.Sprintf(ownVNet, "Contoso.Nobody"), "InvalidServiceEndpoint"},
		{"an endpoint of Microsoft's that there is not", fmt.Sprintf(ownVNet, "Microsoft.Nobody"), "InvalidServiceEndpoint"},
		{"a policy for nobody", `put serviceEndpointPolicies/p {"location":"westeurope","properties":{"serviceEndpointPolicyDefinitions":[{"name":"d","properties":{"service":"Contoso.Nobody","serviceResources":["/subscriptions/s"]}}]}}`, "ServiceEndpointPolicyDefinitionServiceInvalid"},
		{"FW-6 a rule for a subnet without the endpoint", own("minio", `"endpoint":"Contoso.Store","networkAcls":{"virtualNetworkRules":[{"id":"virtualNetworks/vnet/subnets/snet-app"}]}`), "VirtualNetworkRuleBadRequest"},
		{"an endpoint in another spelling", own("other", `"endpoint":"contoso.store"`), "EndpointNameTaken"},
		{"a full name of another's", own("other", `"names":["a.example"]`) + "\n" + own("third", `"names":["a.example"]`), "NameAlreadyTaken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := change(t, cloud, splitLines(test.line)...)
			var refusal *Error
			if !errors.As(err, &refusal) || refusal.Code != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
	t.Run("a cloud has as many endpoints as there are bits", func(t *testing.T) {
		var lines []string
		for i := range model.MaxOwnEndpoints + 1 {
			lines = append(lines, own(fmt.Sprintf("s%d", i), ""))
		}
		must(t, sample(t), lines[1:]...)
		_, err := change(t, sample(t), lines...)
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Code != "EndpointLimitReached" {
			t.Errorf("got %v", err)
		}
	})
}

func splitLines(text string) (lines []string) {
	start := 0
	for i := range text {
		if i > 0 && len(text) > i+4 && text[i-1] == '\n' && text[i:i+4] == "put " {
			lines, start = append(lines, text[start:i-1]), i
		}
	}
	return append(lines, text[start:])
}

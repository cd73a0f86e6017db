package cloud

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// A real Redis as a service of the operator's own, asked by its client from VMs.
func TestRedis(t *testing.T) {
	const document = `{type: Postern.Services/services, name: cache, location: westeurope, properties: {endpoint: Contoso.Redis,
  ports: [{port: 6379}], backends: ["BACKEND"], networkAcls: {defaultAction: Deny, virtualNetworkRules: [RULES]}}}`
	client, program := need(t, "redis-cli", "redis-tools"), need(t, "redis-server", "redis-server")
	onBothDataPaths(t, func(t *testing.T, dataPath string) {
		s := start(t, dataPath, "", application...)
		at, port := s.place("redis", "198.51.100.73"), freePort(t)
		backend := at.run(ordinary(ordinaryDir(t), exec.Command(program, "--bind", at.address, "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no",
			"--protected-mode", "no")), port)
		with := func(rules string) string {
			return strings.NewReplacer("BACKEND", backend, "RULES", rules).Replace(document)
		}
		s.apply(with(""))
		s.apply(subnet("vnet/app", "10.13.76.0/24", "serviceEndpoints: [{service: Contoso.Redis}]"), subnet("vnet/other", "10.13.77.0/24", "serviceEndpoints: [{service: Contoso.Redis}]"))
		s.apply(with("{id: virtualNetworks/vnet/subnets/app}"))
		ask := func(nic string, words ...string) (string, error) {
			return s.run(nil, client, append([]string{"-h", "127.0.0.1", "-p", s.forwarded(s.machine(nic), "cache.services.internal:6379")}, words...)...)
		}
		t.Run("SE-2 FW-6 a subnet of the rules gets in", func(t *testing.T) {
			s := s.in(t)
			if got, err := ask("nic-app", "set", "greeting", "hello"); err != nil || got != "OK" {
				t.Errorf("got %q, %v", got, err)
			}
			if got, err := ask("nic-app", "get", "greeting"); err != nil || got != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
			s.wantCaller("cache", "10.13.76.36")
		})
		t.Run("FW-6 FW-12 another subnet is reset", func(t *testing.T) {
			s := s.in(t)
			if got, err := ask("nic-far", "get", "greeting"); strings.Contains(got, "hello") || !strings.Contains(got, "Error") && err == nil {
				t.Errorf("got %q, %v", got, err)
			}
			s.wantCaller("cache", "10.13.77.5")
		})
	})
}

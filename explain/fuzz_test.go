package explain

import (
	"errors"
	"testing"

	"postern/model"
)

// FuzzPacket asks about whatever a person may type: the answer is an error of one of the two kinds, or a verdict.
func FuzzPacket(f *testing.F) {
	for _, to := range []string{"10.13.77.4:22", table(ownAccount), "168.63.129.16:53", "198.51.100.9:443", "[::1]:80", "a..b:1", "*.core.windows.net:443",
		"[::ffff:10.13.77.4]:1", "\x00.core.windows.net:9", "x.table.core.windows.net.:443"} {
		f.Add("nic-app", to, true)
	}
	f.Add("", "10.0.0.1:1", false)
	snapshot := demo()
	app(snapshot).ServiceEndpoints = []string{"Microsoft.Storage"}
	cloud := cloudOf(f, snapshot)
	f.Fuzz(func(t *testing.T, from, to string, tcp bool) {
		protocol := model.ProtocolUDP
		if tcp {
			protocol = model.ProtocolTCP
		}
		e, err := Packet(cloud, Question{From: from, To: to, Protocol: protocol})
		var unknown *NICError
		var target *TargetError
		switch {
		case err != nil:
			if !errors.As(err, &unknown) && !errors.As(err, &target) {
				t.Fatalf("from %q to %q: %v", from, to, err)
			}
		case e.Verdict.Outcome == "" || e.Verdict.Detail == "" || len(e.Steps) == 0:
			t.Fatalf("from %q to %q: no verdict: %+v", from, to, e)
		default:
			text(t, e)
		}
	})
}

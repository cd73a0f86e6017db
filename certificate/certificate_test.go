package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const suffix = "core.windows.net"

func newAuthority(t testing.TB, permitted ...string) *Authority {
	t.Helper()
	authority, err := NewAuthority("Postern test", permitted, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// handshake runs a TLS client that trusts authority alone against minter, over a pipe in memory.
func handshake(authority *Authority, minter *Minter, name string) error {
	clientSide, serverSide := net.Pipe()
	defer clientSide.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer serverSide.Close()
		_ = tls.Server(serverSide, &tls.Config{GetCertificate: minter.GetCertificate}).Handshake()
	}()
	err := tls.Client(clientSide, &tls.Config{RootCAs: authority.Pool(), ServerName: name}).Handshake()
	clientSide.Close()
	<-done
	return err
}

func TestHandshake(t *testing.T) {
	authority := newAuthority(t, suffix)
	minter := NewMinter(authority, []string{suffix}, nil)
	for _, name := range []string{"stvnetstorageendpoints.table.core.windows.net", "STVNET.Table.Core.Windows.NET",
		strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".core.windows.net"} {
		if err := handshake(authority, minter, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"example.org", "evilcore.windows.net", "core.windows.net.example.org"} {
		if err := handshake(authority, minter, name); err == nil {
			t.Errorf("%s: got a certificate", name)
		}
	}
	if err := handshake(newAuthority(t), minter, "a.core.windows.net"); err == nil {
		t.Error("a client that trusts another authority took the certificate")
	}
}

func TestNamesRefused(t *testing.T) {
	minter := NewMinter(newAuthority(t), []string{suffix}, nil)
	for _, name := range []string{"", ".", "evilcore.windows.net", "example.org", "..core.windows.net", "a..core.windows.net", "-a.core.windows.net",
		"a b.core.windows.net", "*.core.windows.net", "a\x00.core.windows.net", strings.Repeat("a.", 130) + suffix} {
		if _, err := minter.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("%q: got a certificate", name)
		}
	}
}

func TestNameConstraint(t *testing.T) {
	authority := newAuthority(t, suffix)
	outside, err := authority.Issue([]string{"login.example.org"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = outside.Leaf.Verify(x509.VerifyOptions{Roots: authority.Pool(), DNSName: "login.example.org"})
	if err == nil {
		t.Error("a leaf outside the permitted names verifies")
	}
}

func TestPEM(t *testing.T) {
	authority := newAuthority(t)
	data, err := authority.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseAuthority(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := handshake(authority, NewMinter(read, []string{suffix}, nil), "a.table.core.windows.net"); err != nil {
		t.Errorf("leaf of the authority read back: %v", err)
	}
	if strings.Contains(string(authority.CertificatePEM()), "PRIVATE") {
		t.Error("the public form holds the key")
	}
	other, err := newAuthority(t).MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	key := other[strings.Index(string(other), "-----BEGIN PRIVATE KEY"):]
	for name, bad := range map[string][]byte{"empty": nil, "no key": authority.CertificatePEM(), "key alone": key,
		"another's key": append(authority.CertificatePEM(), key...), "cut": data[:len(data)/2]} {
		if _, err := ParseAuthority(bad); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

func TestCacheKeepsAndRenews(t *testing.T) {
	now := time.Now()
	minter := NewMinter(newAuthority(t), []string{suffix}, func() time.Time { return now })
	get := func(name string) *tls.Certificate {
		certificate, err := minter.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		return certificate
	}
	first := get("a." + suffix)
	if get("A."+suffix+".") != first {
		t.Error("the same name got another certificate")
	}
	now = now.Add(LeafLifetime * 3 / 4)
	renewed := get("a." + suffix)
	if renewed == first || !renewed.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Error("a certificate with little time left was not renewed")
	}
	minter.size = 8
	for i := range 20 {
		get(fmt.Sprintf("n%d.%s", i, suffix))
		get("a." + suffix)
	}
	if len(minter.byName) != 8 || minter.recent.Len() != 8 {
		t.Errorf("%d names and %d certificates kept, want 8", len(minter.byName), minter.recent.Len())
	}
	if get("a."+suffix) != renewed {
		t.Error("a certificate in steady use was dropped")
	}
}

func TestConcurrentUse(t *testing.T) {
	minter := NewMinter(newAuthority(t), []string{suffix}, nil)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 32 {
				name := fmt.Sprintf("n%d.%s", i, suffix)
				certificate, err := minter.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
				if err != nil || certificate.Leaf.VerifyHostname(name) != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	group.Wait()
}

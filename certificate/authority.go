// Package certificate is the cloud's own certificate authority (RFC 5280): one ECDSA P-256 root, and leaves for the
// names that its services answer under, made when a client first asks for one.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// How long certificates are good. A leaf lives shorter than what public clients still accept (398 days).
const (
	AuthorityLifetime = 10 * 365 * 24 * time.Hour
	LeafLifetime      = 90 * 24 * time.Hour
)

// backdate lets a client whose clock is a little late accept a fresh certificate.
const backdate = time.Hour

// Authority signs leaves. It is immutable and safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes a fresh root, good from now on for AuthorityLifetime. With permitted suffixes ("core.windows.net")
// the root carries them as critical name constraints (RFC 5280 section 4.2.1.10), so that whoever trusts it trusts it for
// names below those alone.
func NewAuthority(name string, permitted []string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority %q: %w", name, err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, fmt.Errorf("make authority %q: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(AuthorityLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomains:         permitted,
		PermittedDNSDomainsCritical: len(permitted) > 0,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make authority %q: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make authority %q: %w", name, err)
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// PEM blocks of the stored form.
const (
	blockCertificate = "CERTIFICATE"
	blockKey         = "PRIVATE KEY" // PKCS #8
)

// ParseAuthority reads what MarshalPEM wrote: one certificate and its key.
func ParseAuthority(data []byte) (*Authority, error) {
	var authority Authority
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		switch block.Type {
		case blockCertificate:
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read authority: certificate: %w", err)
			}
			authority.certificate = certificate
		case blockKey:
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read authority: key: %w", err)
			}
			key, ok := parsed.(*ecdsa.PrivateKey)
			if !ok {
				return nil, fmt.Errorf("read authority: key is %T, want ECDSA", parsed)
			}
			authority.key = key
		}
	}
	switch {
	case authority.certificate == nil || authority.key == nil:
		return nil, fmt.Errorf("read authority: want a %s and a %s block", blockCertificate, blockKey)
	case !authority.certificate.IsCA:
		return nil, fmt.Errorf("read authority: certificate %q is no authority's", authority.certificate.Subject.CommonName)
	case !authority.key.PublicKey.Equal(authority.certificate.PublicKey):
		return nil, fmt.Errorf("read authority: the key does not belong to certificate %q", authority.certificate.Subject.CommonName)
	}
	return &authority, nil
}

// MarshalPEM writes certificate and private key, for the store alone.
func (a *Authority) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("write authority: %w", err)
	}
	return append(a.CertificatePEM(), pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der})...), nil
}

// CertificatePEM is the root certificate alone: what clients are to trust.
func (a *Authority) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: a.certificate.Raw})
}

// Pool holds the root alone, for a tls.Config's RootCAs.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Issue makes a leaf for the DNS names or IP addresses, at least one, good from now on for LeafLifetime but no longer than the root. The
// answer carries the chain (leaf, root) and Leaf. A name may begin with "*.".
func (a *Authority) Issue(names []string, now time.Time) (*tls.Certificate, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("issue a certificate: no name given")
	}
	var hosts []string
	var addresses []net.IP
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			addresses = append(addresses, address)
			continue
		}
		if !validName(strings.TrimPrefix(name, "*.")) {
			return nil, fmt.Errorf("issue a certificate: %q is no DNS name", name)
		}
		hosts = append(hosts, name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", names[0], err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", names[0], err)
	}
	until := now.Add(LeafLifetime)
	if until.After(a.certificate.NotAfter) {
		until = a.certificate.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: hosts, IPAddresses: addresses,
		NotBefore: now.Add(-backdate), NotAfter: until,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(names[0]) <= 64 { // ub-common-name, RFC 5280 appendix A.1
		template.Subject.CommonName = names[0]
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", names[0], err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", names[0], err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// newSerial is 127 random bits: positive, and at most 20 octets long (RFC 5280 section 4.1.2.2).
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// validName tells whether text is a host name of letters, digits and hyphens (RFC 1123 section 2.1), without a final dot.
func validName(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

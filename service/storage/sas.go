package storage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"postern/service"
)

// sasVersion is the version of the storage services that the tokens are for, as Azure's resource provider makes them.
const sasVersion = "2015-04-05"

// AccountSAS is the body of listAccountSas: what a token for a whole account shall allow
// (https://learn.microsoft.com/rest/api/storageservices/create-account-sas).
type AccountSAS struct {
	Services      string     `json:"signedServices"`      // letters of bqtf
	ResourceTypes string     `json:"signedResourceTypes"` // letters of sco
	Permissions   string     `json:"signedPermission"`
	IP            string     `json:"signedIp"`
	Protocols     string     `json:"signedProtocol"`
	Start         *time.Time `json:"signedStart"`
	Expiry        *time.Time `json:"signedExpiry"`
	Key           string     `json:"keyToSign"` // "key1" when empty
}

// ServiceSAS is the body of listServiceSas: what a token for one container, blob, queue, table, share or file shall allow
// (https://learn.microsoft.com/rest/api/storageservices/create-service-sas).
type ServiceSAS struct {
	Resource    string     `json:"canonicalizedResource"` // "/blob/ACCOUNT/CONTAINER"
	Kind        string     `json:"signedResource"`        // b, c, f or s: of blob and file alone
	Permissions string     `json:"signedPermission"`
	IP          string     `json:"signedIp"`
	Protocols   string     `json:"signedProtocol"`
	Start       *time.Time `json:"signedStart"`
	Expiry      *time.Time `json:"signedExpiry"`
	Identifier  string     `json:"signedIdentifier"` // of a stored access policy, which may have the rest
	Key         string     `json:"keyToSign"`

	StartPartition string `json:"startPk"`
	EndPartition   string `json:"endPk"`
	StartRow       string `json:"startRk"`
	EndRow         string `json:"endRk"`

	CacheControl       string `json:"rscc"`
	ContentDisposition string `json:"rscd"`
	ContentEncoding    string `json:"rsce"`
	ContentLanguage    string `json:"rscl"`
	ContentType        string `json:"rsct"`
}

// Token makes the token of an account with two keys, in base64. Every error is a *service.Refusal, but for a key that is
// not base64.
func (s *AccountSAS) Token(account string, keys [2]string) (string, error) {
	if err := letters(s.Services, "signedServices", "bqtf", true); err != nil {
		return "", err
	}
	if err := letters(s.ResourceTypes, "signedResourceTypes", "sco", true); err != nil {
		return "", err
	}
	if err := letters(s.Permissions, "signedPermission", "rwdlacup", true); err != nil {
		return "", err
	}
	if s.Expiry == nil {
		return "", invalid("signedExpiry", "signedExpiry is required.")
	}
	key, err := chosenKey(s.Key, s.IP, s.Protocols, keys)
	if err != nil {
		return "", err
	}
	text := strings.Join([]string{account, s.Permissions, s.Services, s.ResourceTypes, second(s.Start), second(s.Expiry), s.IP, s.Protocols, sasVersion, ""}, "\n")
	signature, err := sign(text, key)
	return query([][2]string{{"sv", sasVersion}, {"ss", s.Services}, {"srt", s.ResourceTypes}, {"sp", s.Permissions}, {"st", second(s.Start)},
		{"se", second(s.Expiry)}, {"sip", s.IP}, {"spr", s.Protocols}, {"sig", signature}}), err
}

// Token makes the token of an account with two keys, in base64. Every error is a *service.Refusal, but for a key that is
// not base64.
func (s *ServiceSAS) Token(account string, keys [2]string) (string, error) {
	part, rest, _ := strings.Cut(strings.TrimPrefix(s.Resource, "/"), "/")
	owner, path, _ := strings.Cut(rest, "/")
	kinds := map[string]string{Blob: "bc", File: "fs", Queue: "", Table: ""}
	allowed, known := kinds[part]
	if !known || !strings.HasPrefix(s.Resource, "/") || owner != account || path == "" {
		return "", invalid("canonicalizedResource", "The canonicalizedResource '%.200s' must be /blob, /file, /queue or /table, then /%s and the name "+
			"of what the token is for.", s.Resource, account)
	}
	if allowed == "" && s.Kind != "" || allowed != "" && (len(s.Kind) != 1 || !strings.Contains(allowed, s.Kind)) {
		return "", invalid("signedResource", "The signedResource '%.20s' is not one of a %s: use one of '%s'.", s.Kind, part, allowed)
	}
	if err := letters(s.Permissions, "signedPermission", "rwdlacup", s.Identifier == ""); err != nil {
		return "", err
	}
	if len(s.Identifier) > 64 {
		return "", invalid("signedIdentifier", "A signedIdentifier has 64 characters at most.")
	}
	if s.Expiry == nil && s.Identifier == "" {
		return "", invalid("signedExpiry", "signedExpiry is required where no stored access policy has it.")
	}
	key, err := chosenKey(s.Key, s.IP, s.Protocols, keys)
	if err != nil {
		return "", err
	}
	fields := []string{s.Permissions, second(s.Start), second(s.Expiry), s.Resource, s.Identifier, s.IP, s.Protocols, sasVersion}
	list := [][2]string{{"sv", sasVersion}, {"sr", s.Kind}, {"st", second(s.Start)}, {"se", second(s.Expiry)}, {"sp", s.Permissions}, {"sip", s.IP},
		{"spr", s.Protocols}, {"si", s.Identifier}}
	switch part {
	case Table:
		_, name, _ := strings.Cut(rest, "/")
		fields = append(fields, s.StartPartition, s.StartRow, s.EndPartition, s.EndRow)
		list = append(list, [2]string{"tn", name}, [2]string{"spk", s.StartPartition}, [2]string{"srk", s.StartRow}, [2]string{"epk", s.EndPartition}, [2]string{"erk", s.EndRow})
	case Blob, File:
		fields = append(fields, s.CacheControl, s.ContentDisposition, s.ContentEncoding, s.ContentLanguage, s.ContentType)
		list = append(list, [2]string{"rscc", s.CacheControl}, [2]string{"rscd", s.ContentDisposition}, [2]string{"rsce", s.ContentEncoding},
			[2]string{"rscl", s.ContentLanguage}, [2]string{"rsct", s.ContentType})
	}
	signature, err := sign(strings.Join(fields, "\n"), key)
	return query(append(list, [2]string{"sig", signature})), err
}

// chosenKey is the key that signs, once what both kinds of token have is judged.
func chosenKey(name, ip, protocols string, keys [2]string) (string, error) {
	if protocols != "" && protocols != "https" && protocols != "https,http" {
		return "", invalid("signedProtocol", "The signedProtocol '%.20s' is none: use https or https,http.", protocols)
	}
	if ip != "" {
		first, last, isRange := strings.Cut(ip, "-")
		for _, text := range []string{first, last} {
			if address, err := netip.ParseAddr(text); (isRange || text != "") && (err != nil || !address.Is4()) {
				return "", invalid("signedIp", "The signedIp '%.40s' must be an IPv4 address or a range of them, FIRST-LAST.", ip)
			}
		}
	}
	switch strings.ToLower(name) {
	case "", "key1":
		return keys[0], nil
	case "key2":
		return keys[1], nil
	}
	return "", invalid("keyToSign", "The keyToSign '%.40s' is none of the account's: use key1 or key2.", name)
}

// letters refuses a set of letters with others than those known, or one twice.
func letters(set, field, known string, required bool) error {
	if set == "" && required {
		return invalid(field, "%s is required: letters of '%s'.", field, known)
	}
	for i, letter := range set {
		if !strings.ContainsRune(known, letter) || strings.ContainsRune(set[:i], letter) {
			return invalid(field, "The value '%.40s' of %s must have letters of '%s', each once.", set, field, known)
		}
	}
	return nil
}

func invalid(field, format string, arguments ...any) error {
	return service.Refuse(service.CodeInvalidValues, field, format, arguments...)
}

// second is a time in the form of tokens, in whole seconds; "" for none.
func second(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05Z")
}

func sign(text, key string) (string, error) {
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return "", fmt.Errorf("sign a shared access signature: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// query writes a token. Commas stay, as Azure writes them: they need no escape in a query (RFC 3986 section 3.4).
func query(list [][2]string) string {
	var parts []string
	for _, pair := range list {
		if pair[1] != "" {
			parts = append(parts, pair[0]+"="+strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(pair[1]), "%2C", ","), "+", "%20"))
		}
	}
	return strings.Join(parts, "&")
}

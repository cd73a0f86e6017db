package containerregistry

import (
	"encoding/base64"
	"net/http"
	"strings"

	"postern/service"
)

// actions are what az and the SDKs ask about registries beside the usual. The gateway asks for no password: the backend
// checks those of the admin user, and learns them from here.
var actions = []service.Action{
	service.CheckName("Microsoft.ContainerRegistry/checkNameAvailability", "Microsoft.ContainerRegistry/checkNameAvailability/read", TypeRegistry, refuseName, nameTaken,
		service.UsualName("Invalid", "AlreadyExists")),
	{Method: http.MethodPost, Path: TypeRegistry + "/*/listCredentials", Answer: listCredentials},
	{Method: http.MethodPost, Path: TypeRegistry + "/*/regenerateCredential", Answer: regenerateCredential},
}

func refuseName(name string) *service.Refusal {
	if ValidName(strings.ToLower(name)) {
		return nil
	}
	return service.Refuse("InvalidResourceName", "name", "The registry name '%.80s' is not valid: it has 5 to 50 letters and digits.", name)
}

type password struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type credentials struct {
	Username  string     `json:"username"`
	Passwords []password `json:"passwords"`
}

// listCredentials answers the admin user's two passwords.
func listCredentials(c *service.Call) (any, error) {
	properties := service.ObjectIn(c.Object, "properties")
	if enabled, _ := properties[service.Member(properties, "adminUserEnabled")].(bool); !enabled {
		return nil, service.Refuse("UnAuthorizedForCredentialOperations", "properties.adminUserEnabled", "Cannot perform credential operations for %s as admin "+
			"user is disabled. Kindly enable admin user as per docs: https://docs.microsoft.com/en-us/azure/container-registry/container-registry-authentication#admin-account", c.ID)
	}
	value := func(number int) string {
		return base64.RawURLEncoding.EncodeToString(c.Derived(number, "password", 39))
	}
	return credentials{strings.ToLower(c.Name()), []password{{"password", value(0)}, {"password2", value(1)}}}, nil
}

func regenerateCredential(c *service.Call) (any, error) {
	var wanted struct {
		Name string `json:"name"`
	}
	if err := c.Read(&wanted); err != nil {
		return nil, err
	}
	number, known := map[string]int{"password": 0, "password2": 1}[strings.ToLower(wanted.Name)]
	if !known {
		return nil, service.Refuse(service.CodeInvalidContent, "name", "'%.40s' is none of the admin user's passwords: use password or password2.", wanted.Name)
	}
	if _, err := listCredentials(c); err != nil {
		return nil, err
	}
	if err := c.RenewKey(number); err != nil {
		return nil, err
	}
	return listCredentials(c)
}

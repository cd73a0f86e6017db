package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"postern/api/client"
	"postern/cloud"
)

// environments are what a client of the Resource Manager API is given, by the client's name.
var environments = map[string]func(client.Door, string) string{"az": azEnvironment, "terraform": terraformEnvironment, "go": goEnvironment}

func newEnv(a *app) *cobra.Command {
	var newSecret bool
	command := &cobra.Command{
		Use:   "env az|terraform|go",
		Short: "Print what to paste, so that az, Terraform or the Azure SDK for Go works on the cloud",
		Long: "Print what to paste into a shell, so that an unmodified client works on the running cloud's API. The owner's secret is shown\n" +
			"by postern up once, when it is made; what is printed here takes it from POSTERN_SECRET. --new-secret makes another one, which\n" +
			"is printed, and the former one no longer signs in.",
		Example:   "  postern env az\n  postern env terraform --new-secret",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"az", "terraform", "go"},
	}
	command.Flags().BoolVar(&newSecret, "new-secret", false, "make a new secret for the owner, and print it")
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		dir, err := stateDir(a.dir)
		if err != nil {
			return err
		}
		ask := c.Door
		if newSecret {
			ask = c.NewSecret
		}
		door, err := ask(command.Context())
		if err != nil {
			return err
		}
		fmt.Fprint(a.stdout, environments[args[0]](door, dir))
		return nil
	}
	return command
}

// quote makes one word of a text for a POSIX shell.
func quote(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("/._-:=", c))
	}) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// secretLine exports the owner's secret, when it was made just now. What needs it stands in a later line: a shell expands the
// whole line first.
func secretLine(door client.Door) string {
	if door.Secret == "" {
		return ""
	}
	return "export POSTERN_SECRET=" + quote(door.Secret) + "\n"
}

// secretOf takes the secret from the environment; the shell says what to do when it is not there.
func secretOf(name string) string {
	return `"${POSTERN_SECRET:?is what postern up showed; postern env ` + name + ` --new-secret makes another}"`
}

// addressOf is where a door is.
func addressOf(door client.Door) *url.URL {
	address, err := url.Parse(door.URL)
	if err != nil {
		return &url.URL{Host: door.URL}
	}
	return address
}

// azEnvironment is two lines. az keeps what it knows of the cloud in a folder of its own, so that the user's own clouds and
// accounts stay as they are; and one for each port, since it keeps the cloud's addresses.
func azEnvironment(door client.Door, dir string) string {
	secret := ""
	if door.Secret != "" {
		secret = "POSTERN_SECRET=" + quote(door.Secret) + " "
	}
	return fmt.Sprintf("export %sREQUESTS_CA_BUNDLE=%s AZURE_CONFIG_DIR=%s AZURE_CORE_COLLECT_TELEMETRY=0\n",
		secret, quote(cloud.CAFile(dir)), quote(filepath.Join(dir, "az-"+addressOf(door).Port()))) +
		fmt.Sprintf("{ az cloud show -n Postern -o none 2>/dev/null || az cloud register -n Postern --endpoint-resource-manager %s; } && "+
			"az cloud set -n Postern && az login --service-principal -u %s -p %s --tenant %s -o none\n", door.URL, door.ClientID, secretOf("az"), door.Tenant)
}

// terraformEnvironment is all that azurerm and azapi need but for the block that azurerm always wants. What is answered here is
// done, so that azurerm need not wait ten seconds before it looks for the first time.
func terraformEnvironment(door client.Door, dir string) string {
	return secretLine(door) + fmt.Sprintf("export SSL_CERT_FILE=%s ARM_TENANT_ID=%s ARM_SUBSCRIPTION_ID=%s ARM_CLIENT_ID=%s ARM_CLIENT_SECRET=%s\n",
		quote(cloud.CAFile(dir)), door.Tenant, door.Subscription, door.ClientID, secretOf("terraform")) +
		fmt.Sprintf("export ARM_METADATA_HOSTNAME=%s ARM_RESOURCE_PROVIDER_REGISTRATIONS=none GO_AZURE_SDK_SKIP_POLLING_DELAY=true   # azurerm\n", addressOf(door).Host) +
		fmt.Sprintf("export ARM_ACTIVE_DIRECTORY_AUTHORITY_HOST=%[1]s ARM_RESOURCE_MANAGER_ENDPOINT=%[1]s ARM_RESOURCE_MANAGER_AUDIENCE=%[1]s "+
			"ARM_DISABLE_INSTANCE_DISCOVERY=true   # azapi\n", door.URL) + `# main.tf:
#   provider "azurerm" {
#     features {
#       storage { data_plane_available = false }
#     }
#   }
#   provider "azapi" {}
`
}

func goEnvironment(door client.Door, dir string) string {
	return secretLine(door) + fmt.Sprintf("export SSL_CERT_FILE=%s AZURE_TENANT_ID=%s AZURE_CLIENT_ID=%s AZURE_CLIENT_SECRET=%s AZURE_SUBSCRIPTION_ID=%s\n",
		quote(cloud.CAFile(dir)), door.Tenant, door.ClientID, secretOf("go"), door.Subscription) +
		fmt.Sprintf(`# main.go:
#   postern := cloud.Configuration{ActiveDirectoryAuthorityHost: "%[1]s", Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
#       cloud.ResourceManager: {Endpoint: "%[1]s", Audience: "%[1]s"}}}
#   options := azcore.ClientOptions{Cloud: postern}
#   credential, err := azidentity.NewClientSecretCredential(os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID"), os.Getenv("AZURE_CLIENT_SECRET"),
#       &azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
#   networks, err := armnetwork.NewVirtualNetworksClient(os.Getenv("AZURE_SUBSCRIPTION_ID"), credential, &arm.ClientOptions{ClientOptions: options})
`, door.URL)
}

package appservice

// stack is the one that sites can say that they run on. A site's backend runs it, not this cloud: az asks for the stacks,
// and writes the version of this one into a new site's settings.
var stack = map[string]any{"id": nil, "name": "node", "type": "Microsoft.Web/webAppStacks", "properties": map[string]any{
	"displayText": "Node", "value": "node", "preferredOs": "windows", "majorVersions": []any{map[string]any{
		"displayText": "Node LTS", "value": "lts", "minorVersions": []any{map[string]any{
			"displayText": "Node 22 LTS", "value": "22-lts", "stackSettings": map[string]any{"windowsRuntimeSettings": map[string]any{
				"runtimeVersion": "~22", "isPreview": false, "isDeprecated": false, "isHidden": false, "remoteDebuggingSupported": false,
				"appInsightsSettings": map[string]any{"isSupported": false}, "gitHubActionSettings": map[string]any{"isSupported": false},
			}},
		}},
	}},
}}

// profiles are the ways to publish to a site: there is none, for what it serves lies in its backend.
const profiles = `<publishData><publishProfile profileName="none" publishMethod="None" publishUrl="" /></publishData>`

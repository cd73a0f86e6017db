# The demo's cloud with the azapi provider, which sends the API's own bodies: networks, security, machines, accounts.
# See ../README.md. The nodes (hosts, gateways, edges) are the operator's; postern up makes them.
terraform {
  required_version = ">= 1.9"
  required_providers {
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.12"
    }
  }
}

# Everything comes from the environment that postern env terraform prints.
provider "azapi" {}

variable "name" {
  description = "The resource group's name, and the first part of the accounts' names, which are unique in the whole cloud."
  type        = string
  default     = "azapidemo"
}

variable "location" {
  description = "The region of the network and of the account that it reaches by its endpoint."
  type        = string
  default     = "westeurope"
}

variable "endpoint" {
  description = "The service endpoint of snet-app: Microsoft.Storage for its own region, Microsoft.Storage.Global for all."
  type        = string
  default     = "Microsoft.Storage.Global"
}

variable "other_location" {
  description = "The region of the second account: Microsoft.Storage.Global reaches it too (SE-9)."
  type        = string
  default     = "germanywestcentral"
}

resource "azapi_resource" "group" {
  type     = "Microsoft.Resources/resourceGroups@2024-11-01"
  name     = var.name
  location = var.location
  tags     = { purpose = "demo" }
}

# Security: the machines reach storage and each other, and nothing else comes in.
resource "azapi_resource" "nsg" {
  type      = "Microsoft.Network/networkSecurityGroups@2024-05-01"
  name      = "nsg-app"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    properties = {
      securityRules = [{
        name = "storage"
        properties = {
          priority                 = 100
          direction                = "Outbound"
          access                   = "Allow"
          protocol                 = "Tcp"
          sourceAddressPrefix      = "VirtualNetwork"
          sourcePortRange          = "*"
          destinationAddressPrefix = "Storage"
          destinationPortRange     = "443"
        }
      }]
    }
  }
}

# Routes: one prefix is dark, and what is meant for the hub's appliance goes there.
resource "azapi_resource" "route_table" {
  type      = "Microsoft.Network/routeTables@2024-05-01"
  name      = "rt-app"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    properties = {
      routes = [
        { name = "dark", properties = { addressPrefix = "192.0.2.0/24", nextHopType = "None" } },
        { name = "by-the-hub", properties = { addressPrefix = "198.51.100.0/24", nextHopType = "VirtualAppliance", nextHopIpAddress = "10.14.0.4" } },
      ]
    }
  }
}

resource "azapi_resource" "nat" {
  type      = "Microsoft.Network/natGateways@2024-05-01"
  name      = "nat"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    sku        = { name = "Standard" }
    properties = { idleTimeoutInMinutes = 10 }
  }
}

# Of all accounts, the own ones alone (SEP-2).
resource "azapi_resource" "policy" {
  type      = "Microsoft.Network/serviceEndpointPolicies@2024-05-01"
  name      = "sep-own"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    properties = {
      serviceEndpointPolicyDefinitions = [{
        name       = "own"
        properties = { service = "Microsoft.Storage", serviceResources = [azapi_resource.group.id] }
      }]
    }
  }
}

resource "azapi_resource" "vnet" {
  type      = "Microsoft.Network/virtualNetworks@2024-05-01"
  name      = "vnet"
  parent_id = azapi_resource.group.id
  location  = var.location
  body      = { properties = { addressSpace = { addressPrefixes = ["10.13.0.0/16"] } } }
}

resource "azapi_resource" "snet_app" {
  type      = "Microsoft.Network/virtualNetworks/subnets@2024-05-01"
  name      = "snet-app"
  parent_id = azapi_resource.vnet.id
  body = {
    properties = {
      addressPrefix           = "10.13.76.0/24"
      serviceEndpoints        = [{ service = var.endpoint }]
      serviceEndpointPolicies = [{ id = azapi_resource.policy.id }]
      networkSecurityGroup    = { id = azapi_resource.nsg.id }
      routeTable              = { id = azapi_resource.route_table.id }
    }
  }
}

resource "azapi_resource" "snet_other" {
  type      = "Microsoft.Network/virtualNetworks/subnets@2024-05-01"
  name      = "snet-other"
  parent_id = azapi_resource.vnet.id
  body = {
    properties = {
      addressPrefix = "10.13.77.0/24"
      natGateway    = { id = azapi_resource.nat.id }
    }
  }
  depends_on = [azapi_resource.snet_app] # one write on a VNet at a time
}

resource "azapi_resource" "hub" {
  type      = "Microsoft.Network/virtualNetworks@2024-05-01"
  name      = "vnet-hub"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    properties = {
      addressSpace = { addressPrefixes = ["10.14.0.0/16"] }
      subnets      = [{ name = "snet-hub", properties = { addressPrefix = "10.14.0.0/24" } }]
    }
  }
}

resource "azapi_resource" "to_hub" {
  type      = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2024-05-01"
  name      = "to-hub"
  parent_id = azapi_resource.vnet.id
  body = {
    properties = {
      remoteVirtualNetwork      = { id = azapi_resource.hub.id }
      allowVirtualNetworkAccess = true
      allowForwardedTraffic     = true
    }
  }
  depends_on = [azapi_resource.snet_other]
}

resource "azapi_resource" "from_hub" {
  type      = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2024-05-01"
  name      = "to-vnet"
  parent_id = azapi_resource.hub.id
  body = {
    properties = {
      remoteVirtualNetwork      = { id = azapi_resource.vnet.id }
      allowVirtualNetworkAccess = true
    }
  }
  depends_on = [azapi_resource.to_hub]
}

# Machines: a NIC with its VM. The tag says on which host; without it Postern chooses.
resource "azapi_resource" "public_ip" {
  type      = "Microsoft.Network/publicIPAddresses@2024-05-01"
  name      = "pip-app"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    sku        = { name = "Standard" }
    properties = { publicIPAllocationMethod = "Static" }
  }
  response_export_values = ["properties.ipAddress"]
}

resource "azapi_resource" "nic_app" {
  type      = "Microsoft.Network/networkInterfaces@2024-05-01"
  name      = "nic-app"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    properties = {
      ipConfigurations = [{
        name = "ipconfig1"
        properties = {
          privateIPAllocationMethod = "Static"
          privateIPAddress          = "10.13.76.36"
          subnet                    = { id = azapi_resource.snet_app.id }
          publicIPAddress           = { id = azapi_resource.public_ip.id }
        }
      }]
    }
  }
}

resource "azapi_resource" "nic_other" {
  type      = "Microsoft.Network/networkInterfaces@2024-05-01"
  name      = "nic-other"
  parent_id = azapi_resource.group.id
  location  = var.location
  body = {
    properties = {
      ipConfigurations = [{
        name       = "ipconfig1"
        properties = { privateIPAllocationMethod = "Dynamic", subnet = { id = azapi_resource.snet_other.id } }
      }]
    }
  }
  response_export_values = ["properties.ipConfigurations[0].properties.privateIPAddress"]
}

resource "azapi_resource" "vm_app" {
  type      = "Microsoft.Compute/virtualMachines@2024-07-01"
  name      = "vm-app"
  parent_id = azapi_resource.group.id
  location  = var.location
  identity { type = "SystemAssigned" }
  body = { properties = { networkProfile = { networkInterfaces = [{ id = azapi_resource.nic_app.id }] } } }
}

# Accounts: snet-app alone gets in, from both regions.
resource "azapi_resource" "account" {
  for_each  = { west = var.location, german = var.other_location }
  type      = "Microsoft.Storage/storageAccounts@2023-05-01"
  name      = "${var.name}${each.key}"
  parent_id = azapi_resource.group.id
  location  = each.value
  body = {
    kind = "StorageV2"
    sku  = { name = "Standard_LRS" }
    properties = {
      minimumTlsVersion = "TLS1_2"
      networkAcls = {
        defaultAction       = "Deny"
        bypass              = "None"
        virtualNetworkRules = [{ id = azapi_resource.snet_app.id, action = "Allow" }]
        ipRules             = [{ value = "198.51.100.7", action = "Allow" }]
      }
    }
  }
  response_export_values = ["properties.primaryEndpoints.table"]
}

output "public_ip" {
  value = azapi_resource.public_ip.output.properties.ipAddress
}

output "tables" {
  value = [for account in azapi_resource.account : account.output.properties.primaryEndpoints.table]
}

# The demo's cloud with the azurerm provider: networks, security, NICs, accounts. See ../README.md.
# The nodes (hosts, gateways, edges) are the operator's; postern up makes them.
terraform {
  required_version = ">= 1.9"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.2"
    }
  }
}

# The rest comes from the environment that postern env terraform prints.
provider "azurerm" {
  features {
    storage {
      # The accounts' own endpoints are reached from the cloud's machines, and not from where Terraform runs.
      data_plane_available = false
    }
  }
}

variable "name" {
  description = "The resource group's name, and the first part of the accounts' names, which are unique in the whole cloud."
  type        = string
  default     = "azurermdemo"
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

resource "azurerm_resource_group" "rg" {
  name     = var.name
  location = var.location
  tags     = { purpose = "demo" }
}

locals {
  here = { resource_group_name = azurerm_resource_group.rg.name, location = azurerm_resource_group.rg.location }
}

# Security: the machines reach storage and each other, and nothing else comes in.
resource "azurerm_application_security_group" "app" {
  name                = "asg-app"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
}

resource "azurerm_network_security_group" "app" {
  name                = "nsg-app"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  security_rule {
    name                       = "storage"
    priority                   = 100
    direction                  = "Outbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_port_range          = "*"
    destination_port_range     = "443"
    source_address_prefix      = "VirtualNetwork"
    destination_address_prefix = "Storage"
  }
}

resource "azurerm_network_security_group" "nic" {
  name                = "nsg-nic"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
}

# A rule apart, which names a group of NICs instead of addresses.
resource "azurerm_network_security_rule" "ssh" {
  name                                       = "ssh"
  resource_group_name                        = local.here.resource_group_name
  network_security_group_name                = azurerm_network_security_group.nic.name
  priority                                   = 200
  direction                                  = "Inbound"
  access                                     = "Allow"
  protocol                                   = "Tcp"
  source_port_range                          = "*"
  destination_port_ranges                    = ["22", "2222"]
  source_address_prefix                      = "VirtualNetwork"
  destination_application_security_group_ids = [azurerm_application_security_group.app.id]
}

# Routes: one prefix is dark, and what is meant for the hub's appliance goes there.
resource "azurerm_route_table" "app" {
  name                = "rt-app"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  route {
    name           = "dark"
    address_prefix = "192.0.2.0/24"
    next_hop_type  = "None"
  }
}

resource "azurerm_route_table" "other" {
  name                          = "rt-other"
  resource_group_name           = local.here.resource_group_name
  location                      = local.here.location
  bgp_route_propagation_enabled = false
}

resource "azurerm_route" "by_the_hub" {
  name                   = "by-the-hub"
  resource_group_name    = local.here.resource_group_name
  route_table_name       = azurerm_route_table.other.name
  address_prefix         = "198.51.100.0/24"
  next_hop_type          = "VirtualAppliance"
  next_hop_in_ip_address = "10.14.0.4"
}

# Of all accounts, the own ones alone (SEP-2).
resource "azurerm_subnet_service_endpoint_storage_policy" "own" {
  name                = "sep-own"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  definition {
    name              = "own"
    service           = "Microsoft.Storage"
    service_resources = [azurerm_resource_group.rg.id]
  }
}

resource "azurerm_virtual_network" "vnet" {
  name                = "vnet"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  address_space       = ["10.13.0.0/16"]
}

resource "azurerm_subnet" "app" {
  name                        = "snet-app"
  resource_group_name         = local.here.resource_group_name
  virtual_network_name        = azurerm_virtual_network.vnet.name
  address_prefixes            = ["10.13.76.0/24"]
  service_endpoint_policy_ids = [azurerm_subnet_service_endpoint_storage_policy.own.id]
  service_endpoint {
    service = var.endpoint
  }
}

resource "azurerm_subnet_network_security_group_association" "app" {
  subnet_id                 = azurerm_subnet.app.id
  network_security_group_id = azurerm_network_security_group.app.id
}

resource "azurerm_subnet_route_table_association" "app" {
  subnet_id      = azurerm_subnet.app.id
  route_table_id = azurerm_route_table.app.id
}

resource "azurerm_subnet" "other" {
  name                 = "snet-other"
  resource_group_name  = local.here.resource_group_name
  virtual_network_name = azurerm_virtual_network.vnet.name
  address_prefixes     = ["10.13.77.0/24"]
}

resource "azurerm_subnet_route_table_association" "other" {
  subnet_id      = azurerm_subnet.other.id
  route_table_id = azurerm_route_table.other.id
}

# The way out of snet-other.
resource "azurerm_nat_gateway" "nat" {
  name                    = "nat"
  resource_group_name     = local.here.resource_group_name
  location                = local.here.location
  sku_name                = "Standard"
  idle_timeout_in_minutes = 10
}

resource "azurerm_public_ip" "nat" {
  name                = "pip-nat"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  allocation_method   = "Static"
  sku                 = "Standard"
}

resource "azurerm_nat_gateway_public_ip_association" "nat" {
  nat_gateway_id       = azurerm_nat_gateway.nat.id
  public_ip_address_id = azurerm_public_ip.nat.id
}

resource "azurerm_subnet_nat_gateway_association" "other" {
  subnet_id      = azurerm_subnet.other.id
  nat_gateway_id = azurerm_nat_gateway.nat.id
}

resource "azurerm_virtual_network" "hub" {
  name                = "vnet-hub"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  address_space       = ["10.14.0.0/16"]
  subnet {
    name             = "snet-hub"
    address_prefixes = ["10.14.0.0/24"]
  }
}

resource "azurerm_virtual_network_peering" "to_hub" {
  name                      = "to-hub"
  resource_group_name       = local.here.resource_group_name
  virtual_network_name      = azurerm_virtual_network.vnet.name
  remote_virtual_network_id = azurerm_virtual_network.hub.id
  allow_forwarded_traffic   = true
}

resource "azurerm_virtual_network_peering" "from_hub" {
  name                      = "to-vnet"
  resource_group_name       = local.here.resource_group_name
  virtual_network_name      = azurerm_virtual_network.hub.name
  remote_virtual_network_id = azurerm_virtual_network.vnet.id
}

# A NIC is all that a machine here takes: postern exec nic-app runs programs as its machine.
resource "azurerm_public_ip" "app" {
  name                = "pip-app"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  allocation_method   = "Static"
  sku                 = "Standard"
}

resource "azurerm_network_interface" "app" {
  name                = "nic-app"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  ip_configuration {
    name                          = "ipconfig1"
    subnet_id                     = azurerm_subnet.app.id
    private_ip_address_allocation = "Static"
    private_ip_address            = "10.13.76.36"
    public_ip_address_id          = azurerm_public_ip.app.id
  }
}

resource "azurerm_network_interface_security_group_association" "app" {
  network_interface_id      = azurerm_network_interface.app.id
  network_security_group_id = azurerm_network_security_group.nic.id
}

resource "azurerm_network_interface_application_security_group_association" "app" {
  network_interface_id          = azurerm_network_interface.app.id
  application_security_group_id = azurerm_application_security_group.app.id
  # Both associations read the NIC and write it back; azurerm locks it under two different keys.
  depends_on = [azurerm_network_interface_security_group_association.app]
}

resource "azurerm_network_interface" "other" {
  name                = "nic-other"
  resource_group_name = local.here.resource_group_name
  location            = local.here.location
  ip_configuration {
    name                          = "ipconfig1"
    subnet_id                     = azurerm_subnet.other.id
    private_ip_address_allocation = "Dynamic"
  }
}

# Accounts: snet-app alone gets in, from both regions.
resource "azurerm_storage_account" "west" {
  name                     = "${var.name}west"
  resource_group_name      = local.here.resource_group_name
  location                 = var.location
  account_tier             = "Standard"
  account_replication_type = "LRS"
  network_rules {
    default_action             = "Deny"
    bypass                     = ["None"]
    ip_rules                   = ["198.51.100.7"]
    virtual_network_subnet_ids = [azurerm_subnet.app.id]
  }
}

resource "azurerm_storage_account" "german" {
  name                     = "${var.name}german"
  resource_group_name      = local.here.resource_group_name
  location                 = var.other_location
  account_tier             = "Standard"
  account_replication_type = "LRS"
}

# Rules apart from their account.
resource "azurerm_storage_account_network_rules" "german" {
  storage_account_id         = azurerm_storage_account.german.id
  default_action             = "Deny"
  bypass                     = ["None"]
  virtual_network_subnet_ids = [azurerm_subnet.app.id]
}

output "public_ip" {
  value = azurerm_public_ip.app.ip_address
}

output "tables" {
  value = [azurerm_storage_account.west.primary_table_endpoint, azurerm_storage_account.german.primary_table_endpoint]
}

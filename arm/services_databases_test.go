package arm_test

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/datalake-store/armdatalakestore"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mariadb/armmariadb"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mysql/armmysql"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/postgresql/armpostgresql"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/sql/armsql"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/synapse/armsynapse"
)

func sdkSQL(s *steps) {
	factory := must[*armsql.ClientFactory](s.T)(armsql.NewClientFactory(s.door.Subscription, s.credential, s.options))
	servers, ranges, subnets := factory.NewServersClient(), factory.NewFirewallRulesClient(), factory.NewVirtualNetworkRulesClient()
	s.has(`"sql-sdk.database.windows.net"`)(polled(servers.BeginCreateOrUpdate(s.ctx, "lab", "sql-sdk", armsql.Server{Location: region, Properties: &armsql.ServerProperties{
		AdministratorLogin: to.Ptr("adm"), AdministratorLoginPassword: to.Ptr("Passw0rd-sdk")}}, nil)))
	s.has(`"Ready"`)(asked(servers.Get(s.ctx, "lab", "sql-sdk", nil)))
	s.has(`"sql-sdk"`)(listed(servers.NewListByResourceGroupPager("lab", nil)))
	s.has(`"minimalTlsVersion":"1.1"`)(polled(servers.BeginUpdate(s.ctx, "lab", "sql-sdk", armsql.ServerUpdate{Properties: &armsql.ServerProperties{MinimalTLSVersion: to.Ptr("1.1")}}, nil)))
	s.has(`20.1.2.9`)(asked(ranges.CreateOrUpdate(s.ctx, "lab", "sql-sdk", "office", armsql.FirewallRule{Properties: &armsql.ServerFirewallRuleProperties{
		StartIPAddress: to.Ptr("20.1.2.3"), EndIPAddress: to.Ptr("20.1.2.9")}}, nil)))
	s.has(`"office"`)(listed(ranges.NewListByServerPager("lab", "sql-sdk", nil)))
	s.has(`"Ready"`)(polled(subnets.BeginCreateOrUpdate(s.ctx, "lab", "sql-sdk", "app", armsql.VirtualNetworkRule{Properties: &armsql.VirtualNetworkRuleProperties{VirtualNetworkSubnetID: s.app}}, nil)))
	s.has(`/subnets/app`)(listed(subnets.NewListByServerPager("lab", "sql-sdk", nil)))
	s.has(`{}`)(asked(ranges.Delete(s.ctx, "lab", "sql-sdk", "office", nil)))
	s.has(`{}`)(polled(subnets.BeginDelete(s.ctx, "lab", "sql-sdk", "app", nil)))
	s.has(`{}`)(polled(servers.BeginDelete(s.ctx, "lab", "sql-sdk", nil)))
}

func sdkSynapse(s *steps) {
	factory := must[*armsynapse.ClientFactory](s.T)(armsynapse.NewClientFactory(s.door.Subscription, s.credential, s.options))
	workspaces, ranges := factory.NewWorkspacesClient(), factory.NewIPFirewallRulesClient()
	s.has(`"synapse-sdk.sql.azuresynapse.net"`)(polled(workspaces.BeginCreateOrUpdate(s.ctx, "lab", "synapse-sdk", armsynapse.Workspace{Location: region, Properties: &armsynapse.WorkspaceProperties{
		SQLAdministratorLogin: to.Ptr("adm"), SQLAdministratorLoginPassword: to.Ptr("Passw0rd-sdk")}}, nil)))
	s.has(`"synapse-sdk"`)(asked(workspaces.Get(s.ctx, "lab", "synapse-sdk", nil)))
	s.has(`"synapse-sdk"`)(listed(workspaces.NewListByResourceGroupPager("lab", nil)))
	s.has(`"team":"shop"`)(polled(workspaces.BeginUpdate(s.ctx, "lab", "synapse-sdk", armsynapse.WorkspacePatchInfo{Tags: map[string]*string{"team": to.Ptr("shop")}}, nil)))
	s.has(`20.1.2.9`)(polled(ranges.BeginCreateOrUpdate(s.ctx, "lab", "synapse-sdk", "office", armsynapse.IPFirewallRuleInfo{Properties: &armsynapse.IPFirewallRuleProperties{
		StartIPAddress: to.Ptr("20.1.2.3"), EndIPAddress: to.Ptr("20.1.2.9")}}, nil)))
	s.has(`"office"`)(listed(ranges.NewListByWorkspacePager("lab", "synapse-sdk", nil)))
	s.has(`{}`)(polled(workspaces.BeginDelete(s.ctx, "lab", "synapse-sdk", nil)))
}

func sdkPostgreSQL(s *steps) {
	factory := must[*armpostgresql.ClientFactory](s.T)(armpostgresql.NewClientFactory(s.door.Subscription, s.credential, s.options))
	servers, ranges, subnets := factory.NewServersClient(), factory.NewFirewallRulesClient(), factory.NewVirtualNetworkRulesClient()
	s.has(`"postgres-sdk.postgres.database.azure.com"`)(polled(servers.BeginCreate(s.ctx, "lab", "postgres-sdk", armpostgresql.ServerForCreate{Location: region,
		Properties: &armpostgresql.ServerPropertiesForDefaultCreate{CreateMode: to.Ptr(armpostgresql.CreateModeDefault), AdministratorLogin: to.Ptr("adm"),
			AdministratorLoginPassword: to.Ptr("Passw0rd-sdk")}}, nil)))
	s.has(`"Ready"`)(asked(servers.Get(s.ctx, "lab", "postgres-sdk", nil)))
	s.has(`"postgres-sdk"`)(listed(servers.NewListByResourceGroupPager("lab", nil)))
	s.has(`"sslEnforcement":"Enabled"`)(polled(servers.BeginUpdate(s.ctx, "lab", "postgres-sdk", armpostgresql.ServerUpdateParameters{Properties: &armpostgresql.ServerUpdateParametersProperties{
		SSLEnforcement: to.Ptr(armpostgresql.SSLEnforcementEnumEnabled)}}, nil)))
	s.has(`20.1.2.9`)(polled(ranges.BeginCreateOrUpdate(s.ctx, "lab", "postgres-sdk", "office", armpostgresql.FirewallRule{Properties: &armpostgresql.FirewallRuleProperties{
		StartIPAddress: to.Ptr("20.1.2.3"), EndIPAddress: to.Ptr("20.1.2.9")}}, nil)))
	s.has(`"Ready"`)(polled(subnets.BeginCreateOrUpdate(s.ctx, "lab", "postgres-sdk", "app", armpostgresql.VirtualNetworkRule{Properties: &armpostgresql.VirtualNetworkRuleProperties{VirtualNetworkSubnetID: s.app}}, nil)))
	s.has(`{}`)(polled(subnets.BeginDelete(s.ctx, "lab", "postgres-sdk", "app", nil)))
	s.has(`{}`)(polled(servers.BeginDelete(s.ctx, "lab", "postgres-sdk", nil)))
}

func sdkMySQL(s *steps) {
	factory := must[*armmysql.ClientFactory](s.T)(armmysql.NewClientFactory(s.door.Subscription, s.credential, s.options))
	servers, subnets := factory.NewServersClient(), factory.NewVirtualNetworkRulesClient()
	s.has(`"mysql-sdk.mysql.database.azure.com"`)(polled(servers.BeginCreate(s.ctx, "lab", "mysql-sdk", armmysql.ServerForCreate{Location: region,
		Properties: &armmysql.ServerPropertiesForDefaultCreate{CreateMode: to.Ptr(armmysql.CreateModeDefault), AdministratorLogin: to.Ptr("adm"),
			AdministratorLoginPassword: to.Ptr("Passw0rd-sdk")}}, nil)))
	s.has(`"mysql-sdk"`)(listed(servers.NewListByResourceGroupPager("lab", nil)))
	s.has(`"team":"shop"`)(polled(servers.BeginUpdate(s.ctx, "lab", "mysql-sdk", armmysql.ServerUpdateParameters{Tags: map[string]*string{"team": to.Ptr("shop")}}, nil)))
	s.has(`"Ready"`)(polled(subnets.BeginCreateOrUpdate(s.ctx, "lab", "mysql-sdk", "app", armmysql.VirtualNetworkRule{Properties: &armmysql.VirtualNetworkRuleProperties{VirtualNetworkSubnetID: s.app}}, nil)))
	s.has(`/subnets/app`)(asked(subnets.Get(s.ctx, "lab", "mysql-sdk", "app", nil)))
	s.has(`{}`)(polled(servers.BeginDelete(s.ctx, "lab", "mysql-sdk", nil)))
}

func sdkMariaDB(s *steps) {
	factory := must[*armmariadb.ClientFactory](s.T)(armmariadb.NewClientFactory(s.door.Subscription, s.credential, s.options))
	servers, subnets := factory.NewServersClient(), factory.NewVirtualNetworkRulesClient()
	s.has(`"maria-sdk.mariadb.database.azure.com"`)(polled(servers.BeginCreate(s.ctx, "lab", "maria-sdk", armmariadb.ServerForCreate{Location: region,
		Properties: &armmariadb.ServerPropertiesForDefaultCreate{CreateMode: to.Ptr(armmariadb.CreateModeDefault), AdministratorLogin: to.Ptr("adm"),
			AdministratorLoginPassword: to.Ptr("Passw0rd-sdk")}}, nil)))
	s.has(`"maria-sdk"`)(listed(servers.NewListByResourceGroupPager("lab", nil)))
	s.has(`"team":"shop"`)(polled(servers.BeginUpdate(s.ctx, "lab", "maria-sdk", armmariadb.ServerUpdateParameters{Tags: map[string]*string{"team": to.Ptr("shop")}}, nil)))
	s.has(`"Ready"`)(polled(subnets.BeginCreateOrUpdate(s.ctx, "lab", "maria-sdk", "app", armmariadb.VirtualNetworkRule{Properties: &armmariadb.VirtualNetworkRuleProperties{VirtualNetworkSubnetID: s.app}}, nil)))
	s.has(`/subnets/app`)(asked(subnets.Get(s.ctx, "lab", "maria-sdk", "app", nil)))
	s.has(`{}`)(polled(servers.BeginDelete(s.ctx, "lab", "maria-sdk", nil)))
}

func sdkDataLakeStore(s *steps) {
	factory := must[*armdatalakestore.ClientFactory](s.T)(armdatalakestore.NewClientFactory(s.door.Subscription, s.credential, s.options))
	accounts, ranges, subnets := factory.NewAccountsClient(), factory.NewFirewallRulesClient(), factory.NewVirtualNetworkRulesClient()
	s.has(`"lakesdk.azuredatalakestore.net"`)(polled(accounts.BeginCreate(s.ctx, "lab", "lakesdk", armdatalakestore.CreateDataLakeStoreAccountParameters{Location: region,
		Properties: &armdatalakestore.CreateDataLakeStoreAccountProperties{FirewallState: to.Ptr(armdatalakestore.FirewallStateEnabled)}}, nil)))
	s.has(`"firewallState":"Enabled"`)(asked(accounts.Get(s.ctx, "lab", "lakesdk", nil)))
	s.has(`"lakesdk"`)(listed(accounts.NewListByResourceGroupPager("lab", nil)))
	s.has(`"firewallAllowAzureIps":"Enabled"`)(polled(accounts.BeginUpdate(s.ctx, "lab", "lakesdk", armdatalakestore.UpdateDataLakeStoreAccountParameters{
		Properties: &armdatalakestore.UpdateDataLakeStoreAccountProperties{FirewallAllowAzureIPs: to.Ptr(armdatalakestore.FirewallAllowAzureIPsStateEnabled)}}, nil)))
	s.has(`20.1.2.9`)(asked(ranges.CreateOrUpdate(s.ctx, "lab", "lakesdk", "office", armdatalakestore.CreateOrUpdateFirewallRuleParameters{
		Properties: &armdatalakestore.CreateOrUpdateFirewallRuleProperties{StartIPAddress: to.Ptr("20.1.2.3"), EndIPAddress: to.Ptr("20.1.2.9")}}, nil)))
	s.has(`/subnets/app`)(asked(subnets.CreateOrUpdate(s.ctx, "lab", "lakesdk", "app", armdatalakestore.CreateOrUpdateVirtualNetworkRuleParameters{
		Properties: &armdatalakestore.CreateOrUpdateVirtualNetworkRuleProperties{SubnetID: s.app}}, nil)))
	s.has(`"office"`)(listed(ranges.NewListByAccountPager("lab", "lakesdk", nil)))
	s.has(`{}`)(asked(ranges.Delete(s.ctx, "lab", "lakesdk", "office", nil)))
	s.has(`{}`)(polled(accounts.BeginDelete(s.ctx, "lab", "lakesdk", nil)))
}

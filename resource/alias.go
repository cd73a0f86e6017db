package resource

// ServiceAliases are those that Azure publishes for a service endpoint policy's definition of the service Global (SEP-5): its
// own services, all of them or those of one kind. An instance here answers to one by its tag.
var ServiceAliases = []string{"/services/Azure", "/services/Azure/Batch", "/services/Azure/DataFactory", "/services/Azure/MachineLearning",
	"/services/Azure/ManagedInstance", "/services/Azure/WebPI"}

// Package cloud runs a whole cloud on one machine: store, API and compiler in this process, and every node of it either
// as processes in network namespaces (kernel data path) or as stacks in this process (userspace data path). Machines come
// and go as the resources say.
package cloud

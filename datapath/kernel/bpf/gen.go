// Package bpf holds the eBPF programs of the kernel data path and their compiled object. Package kernel loads them.
package bpf

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu" -target bpfel -go-package bpf -type node -type nic_key -type nic -type prefix_key -type route -type item_key -type rule -type service_entry -type target -type directory_key -type place -type policy_key -type flow_key -type flow -type fragment_key -type fragment -type egress_key -type egress -type ingress -type address -type hop -type candidate -type locator -type vip_key -type vip -type backend -type connection_key -type connection -type dialled -type event Postern postern.c

package model

// StoppedNICs are the keys of the NICs whose VM does not run: no host carries them.
func (s *Snapshot) StoppedNICs() map[string]bool {
	stopped := map[string]bool{}
	for i := range s.VirtualMachines {
		for _, nic := range s.VirtualMachines[i].NetworkInterfaces {
			if s.VirtualMachines[i].Stopped {
				stopped[nic.Key()] = true
			}
		}
	}
	return stopped
}

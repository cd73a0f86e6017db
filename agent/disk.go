package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"postern/plan"
)

// disk keeps two plans of a node in a folder: NODE.plan.json is the last one that was applied, NODE.next.json one that
// is being applied. The next one is on disk before the driver sees it, so that an agent that dies in between does not
// come back with an older plan, which may let through what the newer one denies.
type disk struct{ last, next string }

func newDisk(dir, node string) disk {
	return disk{filepath.Join(dir, node+".plan.json"), filepath.Join(dir, node+".next.json")}
}

// begin puts a plan on disk as the next one.
func (d disk) begin(node plan.Node) error {
	data, err := json.Marshal(node)
	if err != nil {
		return fmt.Errorf("save the plan of node %s: %w", node.Node, err)
	}
	return d.write(d.next, data)
}

// done makes the next plan the last good one.
func (d disk) done() error {
	if err := os.Rename(d.next, d.last); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	return syncFolder(d.last)
}

// plans reads what is on disk, the newest first. Files that cannot be read are told and left out.
func (d disk) plans() (plans []plan.Node, err error) {
	var errs []error
	for _, path := range []string{d.next, d.last} {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var node plan.Node
		if err == nil {
			err = json.Unmarshal(data, &node)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read the saved plan %s: %w", path, err))
			continue
		}
		plans = append(plans, node)
	}
	return plans, errors.Join(errs...)
}

// write replaces a file in one step: a reader sees the old bytes or the new ones, also after a crash.
func (d disk) write(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("save the plan: %w", err), os.Remove(file.Name()))
	}
	return syncFolder(path)
}

// syncFolder puts a rename on disk.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// traces begins the name of all that a run has outside its namespaces, a folder
// and a cgroup in each hierarchy; its process id ends it.
const traces = "realnode-"

func folder(name string) string { return filepath.Join(os.TempDir(), name) }

// remove takes the traces of a run away. What cannot be is said, no more: the
// next run tries again.
func remove(name string) {
	if err := errors.Join(removeCgroups(name), os.RemoveAll(folder(name))); err != nil {
		fmt.Fprintf(os.Stderr, "realnode: something is left of %s: %v\n", name, err)
	}
}

// sweep removes the traces of runs that were killed.
func sweep() {
	places, err := hierarchies()
	if err != nil {
		return // making cgroups will say so
	}
	for _, place := range append(places, os.TempDir()) {
		found, err := filepath.Glob(filepath.Join(place, traces+"*"))
		if err != nil {
			continue // no pattern: a folder has a strange name
		}
		for _, f := range found {
			if name := filepath.Base(f); dead(name) {
				remove(name)
			}
		}
	}
}

// dead reports whether the run of that name has ended, its parent not having
// waited for it perhaps: such a process has no program any more.
func dead(name string) bool {
	pid, err := strconv.ParseUint(strings.TrimPrefix(name, traces), 10, 31)
	if err != nil {
		return false
	}
	_, err = os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return errors.Is(err, fs.ErrNotExist)
}

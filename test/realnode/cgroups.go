package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are the places that hold cgroups: in version 2 one, in version 1
// one a controller, of which some may share one under two names.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{cgroupRoot}, nil
	}
	found, err := filepath.Glob(filepath.Join(cgroupRoot, "*", "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range found {
		folder, err := filepath.EvalSymlinks(filepath.Dir(f))
		if err != nil {
			return nil, err
		}
		all = append(all, folder)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no cgroups are mounted in %s", cgroupRoot)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// makeCgroups makes the group that all pods will be in.
func makeCgroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := os.Mkdir(filepath.Join(h, name), 0o755); err != nil {
			return errors.Join(fmt.Errorf("cgroups cannot be made: %w", err), removeCgroups(name))
		}
	}
	return nil
}

// removeCgroups removes the group and all below it; their processes have ended.
func removeCgroups(name string) error {
	all, err := hierarchies()
	errs := []error{err}
	for _, h := range all {
		errs = append(errs, removeTree(filepath.Join(h, name)))
	}
	return errors.Join(errs...)
}

// removeTree removes a cgroup from its leaves up: its files are the kernel's.
func removeTree(root string) error {
	var groups []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	slices.Reverse(groups)
	for _, g := range groups {
		errs = append(errs, os.Remove(g))
	}
	return errors.Join(errs...)
}

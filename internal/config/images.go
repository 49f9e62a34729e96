package config

import (
	"fmt"
	"regexp"
	"slices"
)

const (
	// maxDebugImages are as many as a person chooses from.
	maxDebugImages = 16
	// maxImage is the longest name of an image that a registry takes, with a tag
	// and a digest.
	maxImage = 512
)

// image is a reference as container runtimes read it: a registry's host, a path,
// and then a tag, a digest or both.
var image = regexp.MustCompile(`^(?:(?:[a-zA-Z0-9]+(?:[.-][a-zA-Z0-9]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/)?` +
	`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*` +
	`(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`)

// debugImages reads a list that is good as a whole or not at all: a shorter one
// would have another default.
func debugImages(c *Config, v string) error {
	if err := each(v, debugImage, &c.Exec.DebugImages); err != nil {
		return err
	}
	all := c.Exec.DebugImages
	if len(all) > maxDebugImages {
		return fmt.Errorf("these are %d images; give at most %d", len(all), maxDebugImages)
	}
	for i, name := range all {
		if slices.Contains(all[:i], name) {
			return fmt.Errorf("%s stands there twice; give each image once", name)
		}
	}
	return nil
}

func debugImage(v string) (string, error) {
	switch {
	case len(v) > maxImage:
		return "", fmt.Errorf("an image has a name of %d bytes; give at most %d", len(v), maxImage)
	case !image.MatchString(v):
		return "", fmt.Errorf("%q is no image; give names such as busybox:1.37 or registry.example.com/tools/debug@sha256:…", v)
	}
	return v, nil
}

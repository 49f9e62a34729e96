package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// imageFlags are the images that --image asks for.
type imageFlags []struct{ name, dockerfile string }

func (f *imageFlags) String() string { return "" }

func (f *imageFlags) Set(v string) error {
	name, dockerfile, ok := strings.Cut(v, "=")
	if !ok || name == "" || dockerfile == "" {
		return errors.New("give NAME=DOCKERFILE")
	}
	*f = append(*f, struct{ name, dockerfile string }{name, dockerfile})
	return nil
}

// readDockerfile makes the layer and the settings of a Dockerfile that needs no
// builder: FROM scratch, COPY of one file, USER, ENTRYPOINT and CMD as lists. Whatever
// else it has is an error, so that the image is what any builder would make.
func readDockerfile(name string) (layer []byte, s settings, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, s, err
	}
	var a archive
	made := map[string]bool{}
	for line := range bytes.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch {
		case word == "" || strings.HasPrefix(word, "#") || word == "FROM" && rest == "scratch":
		case word == "COPY":
			err = a.copy(rest, made)
		case word == "USER":
			s.User = rest
		case word == "ENTRYPOINT":
			err = json.Unmarshal([]byte(rest), &s.Entrypoint)
		case word == "CMD":
			err = json.Unmarshal([]byte(rest), &s.Cmd)
		default:
			err = errors.New("it is not known here")
		}
		if err != nil {
			return nil, s, fmt.Errorf("%s %s: %w", word, rest, err)
		}
	}
	layer, err = a.bytes()
	return layer, s, err
}

// copy puts one file in with its mode, and the folders above it, once each.
func (a *archive) copy(words string, made map[string]bool) error {
	from, to, ok := strings.Cut(words, " ")
	if to = strings.TrimPrefix(to, "/"); !ok || strings.Contains(to, " ") || strings.HasSuffix(to, "/") {
		return errors.New("one file to one path is all that is known here")
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var above []string
	for dir := path.Dir(to); dir != "." && !made[dir]; dir = path.Dir(dir) {
		above, made[dir] = append([]string{dir + "/"}, above...), true
	}
	a.folders(above...)
	a.file(to, int64(info.Mode().Perm()), body)
	return nil
}

package node

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// The kubelet's limits, in bytes.
const (
	maxTerminationMessage = 4096
	maxLastWords          = 2048
)

// withTerminationFile mounts a file where the container may leave its last words.
func (p *pod) withTerminationFile(t *tracked, mounts []shim.Mount) ([]shim.Mount, error) {
	if t.spec.TerminationMessagePath == "" {
		return mounts, nil
	}
	t.message = filepath.Join(p.dir, "termination", t.spec.Name)
	if err := os.MkdirAll(filepath.Dir(t.message), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(t.message, nil, 0o666); err != nil {
		return nil, err
	}
	if err := os.Chmod(t.message, 0o666); err != nil {
		return nil, err
	}
	return append(mounts, shim.Mount{Source: t.message, Target: t.spec.TerminationMessagePath}), nil
}

func (t *tracked) terminationMessage(in *instance) string {
	message := readStart(t.message)
	if message == "" && in.code != 0 && t.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		var tail bytes.Buffer
		if in.log.copyTo(context.Background(), &tail, func() {}, logOptions{tail: 80, limit: -1}) == nil {
			tail.Next(max(0, tail.Len()-maxLastWords)) // the end is what says why
			message = strings.ToValidUTF8(tail.String(), "?")
		}
	}
	return message
}

func readStart(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTerminationMessage))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(data), "?")
}

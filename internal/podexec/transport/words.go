package transport

import (
	"strings"

	"github.com/periscope-console/periscope/internal/fault"
)

// This file is the one place where text decides: neither the apiserver nor the
// container runtimes have a code for these cases. testdata/words.txt holds what
// they say, and where it was seen.

// saysUpgradeLost knows the apiserver's answer to an exec without Upgrade
// headers. Its reason, BadRequest, is that of any mistake of the user's too.
func saysUpgradeLost(message string) bool {
	return strings.EqualFold(message, "Upgrade request required")
}

// words maps what a runtime says about a command it could not start. The first
// match counts.
var words = []struct {
	part string
	kind fault.Kind
}{
	// Something is missing here, but not the command.
	{"chdir to cwd", fault.ClusterUnreachable},
	{"cgroup", fault.ClusterUnreachable},
	{"apparmor", fault.ClusterUnreachable},
	{"executable file not found", fault.NoShell},
	{"not found in $path", fault.NoShell},
	{": no such file or directory", fault.NoShell},
	{": not a directory", fault.NoShell},
	{": permission denied", fault.NoShell},
	{": exec format error", fault.NoShell},
	{"the system cannot find the file specified", fault.NoShell},
	{"container not found", fault.NotFound},
	{"container is not created or running", fault.Gone},
	{"container not running", fault.Gone},
	{"container_exited state", fault.Gone},
	{"cannot exec in a ", fault.Gone},
	{"cannot exec a container that has stopped", fault.Gone},
}

// startKind reads why a command could not be started. Anything unknown is the
// node's trouble.
func startKind(message string) fault.Kind {
	message = strings.ToLower(message)
	for _, w := range words {
		if strings.Contains(message, w.part) {
			return w.kind
		}
	}
	return fault.ClusterUnreachable
}

func startSentence(kind fault.Kind) string {
	switch kind {
	case fault.NoShell:
		return "The container has no such command. Pick another shell or command, or debug the pod with an ephemeral container."
	case fault.NotFound:
		return "The node does not know this container. It may have been replaced: look at the pod again."
	case fault.Gone:
		return "The container is not running. Look at the pod, and open the shell when it runs again."
	}
	return "The node could not run the command. Try again; if it goes on, ask whoever runs the cluster."
}

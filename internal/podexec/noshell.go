package podexec

import "strings"

// missing is the one place that reads text: the words in which container
// runtimes say that a program is not in the image. The exec protocol has no
// code for it. Each row has a fixture in testdata/noshell.
var missing = []string{
	"executable file not found in $PATH",      // runc, crun under containerd and CRI-O
	"no such file or directory",               // runc with an absolute path
	"executable file `sh` not found",          // crun
	"executable file not found in %PATH%",     // Windows
	"The system cannot find the file",         // Windows, hcsshim
	"exec: not found",                         // kata
	"failed to find executable",               // gVisor
	"starting container process caused: exec", // older runc
}

// programMissing reports whether a runtime's message says that the program to
// execute is not in the container.
func programMissing(message string) bool {
	if !strings.Contains(message, "exec") {
		return false
	}
	for _, words := range missing {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

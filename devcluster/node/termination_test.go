package node

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestLastWords of a container that left none are the end of its log.
func TestLastWords(t *testing.T) {
	for _, test := range []struct{ prints, want string }{
		{"why it ended\n", "why it ended\n"},
		{strings.Repeat("x", 3000) + "\nwhy it ended\n", strings.Repeat("x", 2048-14) + "\nwhy it ended\n"},
		{strings.Repeat("€", 1000) + "\n", "?" + strings.Repeat("€", 682) + "\n"},
		{strings.Repeat("line\n", 100), strings.Repeat("line\n", 80)},
	} {
		l := newTestLog(t)
		fmt.Fprint(&lineWriter{log: l, stream: "stdout"}, test.prints)
		c := &tracked{spec: &corev1.Container{TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}}
		if got := c.terminationMessage(&instance{log: l, code: 1}); got != test.want {
			t.Errorf("%d bytes: %q, want %q", len(got), got, test.want)
		}
	}
}

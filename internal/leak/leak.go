// Package leak fails a package's tests when they leave a goroutine behind.
//
// Call Main from TestMain. It owns the short list of goroutines that libraries
// keep for the life of a process and nothing else.
package leak

import "go.uber.org/goleak"

// Main runs the tests and exits, non-zero also where a goroutine is left. m is a
// *testing.M, or wraps one.
func Main(m interface{ Run() int }) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

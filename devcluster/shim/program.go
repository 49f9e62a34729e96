package shim

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"
)

// isProgram: inside a bare container this program is the only one there is.
func isProgram(arg0 string) bool {
	return arg0 == ProgramPath || path.Base(arg0) == "devcluster-app"
}

// program waits to be told to stop, and says something now and then.
func program(args []string) int {
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	say := flags.String("say", "", "a line to print")
	every := flags.Duration("every", 10*time.Second, "how often")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	ticker := time.NewTicker(max(*every, time.Millisecond))
	defer ticker.Stop()
	for {
		if *say != "" {
			fmt.Println(time.Now().UTC().Format(time.RFC3339), *say)
		}
		select {
		case <-stop:
			return 0
		case <-ticker.C:
		}
	}
}

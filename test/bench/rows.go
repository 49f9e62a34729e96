package main

import "strings"

// rows are those of docs/performance.md that have client-go or nothing to compare
// with.
var rows = []row{
	{
		number: 1, title: "typing", pairs: 15, run: typing,
		measures: []measure{
			{"keystroke to echo, p50", "ms", []target{{ratioAtMost, 1.25}}},
			{"keystroke to echo, p99", "ms", []target{{ratioAtMost, 1.3}}},
		},
	},
	{
		number: 1, title: "typing through an agent", pairs: 15, run: typing, agent: true,
		measures: []measure{
			{"keystroke to echo through an agent, p50", "ms", nil},
			{"keystroke to echo through an agent, p99", "ms", nil},
		},
	},
	{
		number: 2, title: "typing beside a colleague's flood", pairs: 7, run: typingBesideFlood,
		measures: []measure{
			{"keystroke to echo beside a flood, p50", "ms", []target{{ratioAtMost, 1.1}}},
			{"keystroke to echo beside a flood, p99", "ms", []target{{ratioAtMost, 0.5}}},
			{"the flood meanwhile", "MB/s", nil},
		},
	},
	{
		number: 4, title: "Ctrl-C", pairs: 7, run: interrupt,
		measures: []measure{
			{"^C to the last byte, client parses 5 MB/s", "ms", []target{{oursAtMost, 200}, {ratioAtMost, 0.1}}},
			{"output still to come after ^C", "MiB", nil},
		},
	},
	{
		number: 5, title: "bulk output", pairs: 11, run: bulk,
		measures: []measure{{"256 MiB of stdout", "MB/s", []target{{ratioAtLeast, 1}}}},
	},
	{
		number: 5, title: "bulk output through an agent", pairs: 11, run: bulk, agent: true,
		measures: []measure{{"256 MiB of stdout through an agent", "MB/s", []target{{ratioAtLeast, 0.9}}}},
	},
	{
		number: 6, title: "opening a shell", pairs: 11, run: opening,
		measures: []measure{{"request to first byte of the prompt, warm", "ms", []target{{ratioAtMost, 1.5}}}},
	},
	{
		number: 7, title: "idle sessions", alone: idleSessions,
		measures: []measure{
			{"resident memory per idle session", "KiB", []target{{oursAtMost, 64}}},
			{"heap in use per idle session", "KiB", nil},
			{"stacks in use per idle session", "KiB", nil},
			{"goroutines per idle session", "", nil},
			{"resident memory per detached session", "KiB", []target{{oursAtMost, 64}}},
			{"sessions and processes left after the grace", "", []target{{oursAtMost, 0}}},
		},
	},
	{
		number: 8, title: "stalled browsers", pairs: 9, alone: stalledBrowsers,
		measures: []measure{
			{"resident memory per stalled browser", "KiB", []target{{oursAtMost, 384}}},
			{"heap in use per stalled browser", "KiB", nil},
			{"output held per stalled browser", "KiB", nil},
			{"others' keystroke to echo, p50, against a server without them", "ms", []target{{ratioAtMost, 1.1}}},
		},
	},
	{
		number: 13, title: "server CPU", pairs: 7, run: serverCPU,
		measures: []measure{
			{"CPU per GiB, plain", "s", []target{{oursAtMost, 1.2}}},
			{"CPU per GiB, terminal", "s", []target{{oursAtMost, 3}}},
			{"CPU per GiB, terminal, written 2 bytes at a time", "s", nil},
		},
	},
}

// zeros is a command that prints n zero bytes, size bytes in each write.
func zeros(n, size string) []string {
	return strings.Fields("dd if=/dev/zero status=none iflag=count_bytes count=" + n + " bs=" + size)
}

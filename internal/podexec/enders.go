package podexec

import "sync"

// maxTogether bounds the shells that one exec ends: they are named in its URL,
// and containerd before 1.6.22 nearly stops when it starts a command while more
// than 32 of a pod have ended.
const maxTogether = 16

// enders runs the execs that end shells, for each key one at a time: shells that
// wait meanwhile are ended by the next one together, as a node starts the commands
// of a pod one after the other (docs/adr/0003). A queue holds no more than there
// are sessions.
type enders struct {
	mu      sync.Mutex
	waiting map[string][]*farewell // a key is there while an exec of it runs
}

// farewell is one shell that is to be ended.
type farewell struct {
	shell process
	lead  chan struct{} // closed when this one is to run the next exec
	how   chan fate     // what became of it
}

func newEnders() *enders { return &enders{waiting: map[string][]*farewell{}} }

// end has the shell ended, by run or by that of another, and says how. run names
// what became of each shell, by its word, and what is to be said of all others.
func (e *enders) end(key string, shell process, run func([]process) (map[string]fate, fate)) fate {
	mine := &farewell{shell: shell, lead: make(chan struct{}), how: make(chan fate, 1)}
	e.enter(key, mine)
	select {
	case how := <-mine.how:
		return how
	case <-mine.lead:
	}
	defer e.pass(key)
	together := e.take(key)
	shells := make([]process, len(together))
	for i, f := range together {
		shells[i] = f.shell
	}
	became, others := run(shells)
	for _, f := range together {
		how, told := became[f.shell.word()]
		if !told {
			how = others
		}
		f.how <- how
	}
	return <-mine.how
}

// enter queues f, which leads where nobody else is at work.
func (e *enders) enter(key string, f *farewell) {
	e.mu.Lock()
	defer e.mu.Unlock()
	others, busy := e.waiting[key]
	e.waiting[key] = append(others, f)
	if !busy {
		close(f.lead)
	}
}

// take is who waits, the leader first.
func (e *enders) take(key string) []*farewell {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.waiting[key]
	n := min(len(all), maxTogether)
	e.waiting[key] = all[n:]
	return all[:n]
}

// pass gives the lead to the next one that waits.
func (e *enders) pass(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if all := e.waiting[key]; len(all) > 0 {
		close(all[0].lead)
		return
	}
	delete(e.waiting, key)
}

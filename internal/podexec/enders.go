package podexec

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// What is ended in one pod at a time. A node starts the commands of a pod
// one after the other, and containerd before 1.6.22 nearly stops when it starts
// one while more than 32 of the pod have ended (docs/adr/0003).
const (
	maxTogether = 16 // shells; those of one exec are named in its URL
	maxEndings  = 4  // execs
)

// enders runs the execs that end shells, a few at a time in a pod. One exec can end
// the shells of a party: those of one container whose users are let in by the same
// credentials. A party has one exec at a time; whoever waits meanwhile is ended by
// its next one together with the others. A queue holds no more than there are
// sessions.
type enders struct {
	mu     sync.Mutex
	queues map[types.UID]*queue // by pod; there while somebody is in it
}

// queue is who waits in a pod, and for whom execs run there.
type queue struct {
	waiting []*farewell // in the order of their coming
	parties map[string]bool
	shells  int // that those execs end
}

// farewell is one shell that is to be ended.
type farewell struct {
	party string
	shell process
	lead  chan []*farewell // gets those whom this one is to end, itself the first
	how   chan fate        // what became of it
}

func newEnders() *enders { return &enders{queues: map[types.UID]*queue{}} }

// end has the shell ended, by run or by that of another, and says how. run names
// what became of each shell, by its word, and what is to be said of all others.
func (e *enders) end(pod types.UID, party string, shell process, run func([]process) (map[string]fate, fate)) fate {
	mine := &farewell{party: party, shell: shell, lead: make(chan []*farewell, 1), how: make(chan fate, 1)}
	e.enter(pod, mine)
	select {
	case how := <-mine.how:
		return how
	case together := <-mine.lead:
		defer e.leave(pod, together)
		tell(together, run)
		return <-mine.how
	}
}

// tell ends the shells and says to each what became of it.
func tell(together []*farewell, run func([]process) (map[string]fate, fate)) {
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
}

func (e *enders) enter(pod types.UID, f *farewell) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[pod]
	if q == nil {
		q = &queue{parties: map[string]bool{}}
		e.queues[pod] = q
	}
	q.waiting = append(q.waiting, f)
	q.next()
}

// leave is the end of the exec that these shared.
func (e *enders) leave(pod types.UID, together []*farewell) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[pod]
	delete(q.parties, together[0].party)
	q.shells -= len(together)
	q.next()
	if len(q.parties) == 0 { // so nobody waits
		delete(e.queues, pod)
	}
}

// next gives the lead to whoever may have it.
func (q *queue) next() {
	for len(q.parties) < maxEndings && q.shells < maxTogether {
		first := slices.IndexFunc(q.waiting, func(f *farewell) bool { return !q.parties[f.party] })
		if first < 0 {
			return
		}
		q.lead(q.waiting[first].party)
	}
}

// lead has the first of a party's shells end them all, or as many as may be.
func (q *queue) lead(party string) {
	var together, others []*farewell
	for _, f := range q.waiting {
		if f.party == party && q.shells < maxTogether {
			together = append(together, f)
			q.shells++
		} else {
			others = append(others, f)
		}
	}
	q.waiting = others
	q.parties[party] = true
	together[0].lead <- together
}

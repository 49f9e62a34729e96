package podexec

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// A session stands on its user's right for as long as it lives: the apiserver is
// asked again and again. A clear no ends it. No answer is no "no", and ends it
// only when it lasts.
const (
	// rightsEvery is how old an answer may get where the apiserver gives any.
	rightsEvery = time.Minute
	// askLimit is how long one question may take.
	askLimit = 10 * time.Second
	// askers bounds the questions to one cluster that are under way. The others
	// wait in line, one place for each right.
	askers = 8
	// unansweredLimit is how long a session lives on without an answer.
	unansweredLimit = 5 * time.Minute
)

// rights is what all live sessions stand on: one question for each identity in
// each pod, however many its shells are. Its goroutines are those that ask: an
// idle session has none. Sessions.mu guards it.
type rights struct {
	every time.Duration
	held  map[rightKey]*right
	lines map[string]*line // by cluster
}

type rightKey struct {
	who                     [sha256.Size]byte
	cluster, namespace, pod string
}

// right is one answer of the apiserver and the sessions that stand on it.
type right struct {
	key      rightKey
	upstream Upstream
	holders  map[*session]struct{}

	ctx      context.Context // done when nobody stands on it any more
	cancel   context.CancelFunc
	due      time.Time
	asking   bool // in line, or under way
	knocking bool // at the node; see node.go

	trouble error     // why the last question got no answer
	since   time.Time // when the first of those without an answer was asked
}

// line is the questions to one cluster.
type line struct {
	waiting []*right
	askers  int
}

func newRights(every time.Duration) *rights {
	if every == 0 {
		every = rightsEvery
	}
	return &rights{every: every, held: map[rightKey]*right{}, lines: map[string]*line{}}
}

func keyOf(req Request) rightKey {
	return rightKey{who: sum(req.Actor.As), cluster: req.Cluster, namespace: req.Namespace, pod: req.Pod}
}

// sum stands for an identity, which may be as long as its groups are many.
func sum(as identity.Impersonation) [sha256.Size]byte {
	b, err := json.Marshal(as)
	if err != nil {
		panic(err) // strings and a bool
	}
	return sha256.Sum256(b)
}

// join has s stand on a right that was checked just now, by Admit or stillMay.
func (r *rights) join(s *session, key rightKey, up Upstream) {
	held := r.stand(s, key, up)
	held.trouble = nil
	if held.due.IsZero() {
		r.again(held, r.every/2)
	}
}

// stand has s stand on a right. One that nobody stood on is due at once.
func (r *rights) stand(s *session, key rightKey, up Upstream) *right {
	held := r.held[key]
	if held == nil {
		held = &right{key: key, upstream: up, holders: map[*session]struct{}{}}
		held.ctx, held.cancel = context.WithCancel(context.Background())
		r.held[key] = held
	}
	held.holders[s] = struct{}{}
	s.right = held
	return held
}

func (r *rights) leave(s *session) {
	delete(s.right.holders, s)
	if len(s.right.holders) > 0 {
		return
	}
	s.right.cancel()
	delete(r.held, s.right.key)
}

// again sets the next question for some time between d and one and a half of it,
// so that many sessions that began together do not ask together.
func (r *rights) again(held *right, d time.Duration) {
	held.due = time.Now().Add(d + rand.N(d/2))
}

// checkRights ends what has gone without an answer for too long and puts the
// questions that are due into their lines. It does not block. The caller has
// ss.mu.
func (ss *Sessions) checkRights() {
	now := time.Now()
	for _, held := range ss.rights.held {
		switch {
		case held.trouble != nil && now.Sub(held.since) >= unansweredLimit:
			held.end(unanswered(held))
		case !held.asking && !now.Before(held.due):
			ss.queue(held)
		}
	}
}

// queue puts a question into its cluster's line. The caller has ss.mu.
func (ss *Sessions) queue(held *right) {
	held.asking = true
	l := ss.rights.lines[held.key.cluster]
	if l == nil {
		l = &line{}
		ss.rights.lines[held.key.cluster] = l
	}
	l.waiting = append(l.waiting, held)
	if l.askers < askers {
		l.askers++
		ss.wg.Go(func() { ss.askAll(l) })
	}
}

// askAll asks one question after the other until the line is empty.
func (ss *Sessions) askAll(l *line) {
	for held := ss.nextQuestion(l); held != nil; held = ss.nextQuestion(l) {
		if ss.recognize(held); held.ctx.Err() != nil {
			continue // nobody stands on it any more
		}
		a := held.ask()
		ss.mu.Lock()
		ss.rights.take(held, a)
		ss.mayKnock(held, a.pod)
		ss.mu.Unlock()
	}
}

func (ss *Sessions) nextQuestion(l *line) *right {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(l.waiting) == 0 {
		l.waiting = nil // not the array of a busy hour
		l.askers--
		return nil
	}
	held := l.waiting[0]
	l.waiting = l.waiting[1:]
	return held
}

// answer is what the apiserver says of a right and of the pod it is for.
type answer struct {
	asked  time.Time
	err    error // of the question; see kube.Denied
	pod    *corev1.Pod
	podErr error
}

// ask is not under ss.mu: it takes as long as the apiserver takes.
func (held *right) ask() answer {
	ctx, cancel := context.WithTimeout(held.ctx, askLimit)
	defer cancel()
	k, asked := held.key, time.Now()
	if err := held.upstream.CheckExec(ctx, k.namespace, k.pod); err != nil {
		return answer{asked: asked, err: err}
	}
	pod, err := held.upstream.Pod(ctx, k.namespace, k.pod)
	return answer{asked: asked, pod: pod, podErr: err}
}

// take does what an answer says. After a yes the next question is due when three
// quarters of the interval are over: the rest is for the line and the answer. The
// caller has ss.mu.
func (r *rights) take(held *right, a answer) {
	held.asking = false
	switch {
	case a.err == nil:
		held.trouble = nil
		r.again(held, r.every/2)
		held.look(a.pod, a.podErr)
	case kube.Denied(a.err):
		r.again(held, r.every/2)
		held.end(noLonger(a.err))
	default:
		if held.trouble == nil {
			held.since = a.asked
		}
		held.trouble = a.err
		r.again(held, r.every/4)
	}
}

func (held *right) end(e ending) {
	for s := range held.holders {
		s.finish(e)
	}
}

// look ends the sessions whose pod or container is gone, or was replaced under
// its name, where the stream has not told.
func (held *right) look(pod *corev1.Pod, err error) {
	for s := range held.holders {
		if reason, gone := s.entered.gone(s.Container, pod, err); gone {
			s.finish(endOf(reason))
		}
	}
}

func noLonger(no error) ending {
	return refusal(fault.Wrap(no, fault.Forbidden, "podexec.rights",
		"Your right to this shell was taken away while it was open, so it was ended. %s", fault.PublicOf(no)))
}

// unanswered is no Forbidden: nobody has said no.
func unanswered(held *right) ending {
	return refusal(fault.Wrap(held.trouble, fault.ClusterUnreachable, "podexec.rights",
		"For %d minutes cluster %s has not said whether you may still be in this pod, so the shell was ended. Open a new one when the cluster answers again.",
		int(unansweredLimit/time.Minute), held.key.cluster))
}

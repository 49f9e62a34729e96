package podexec

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"sync/atomic"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// A v2 session whose client was lost waits for it to come back: it keeps the
// newest output, and the program goes on. Whoever comes back proves to be the
// owner by the login, and to be the same client by the resume token; without the
// token an owner takes the session over. The newest client has the session.
const (
	// holdFor is how long output that finds no room waits for a client that was
	// lost; then the oldest goes, and the program never waits.
	holdFor = 30 * time.Second
	// maxComing bounds those who are coming back to one session at a time.
	maxComing = 8
	// maxKept bounds the ended sessions of one owner that wait to be told of.
	maxKept = 8
	// tokenBytes is the size of a resume token before it is written as base64url.
	tokenBytes = 32
)

// Attach is a client's wish to come back to a session.
type Attach struct {
	SessionID string
	Token     string // what hello brought; empty where the session is to be taken over
	TakeOver  bool
	// Offset is up to where output has arrived; nil where the client has none.
	Offset *int64
	Size   transport.Size // zero: as it was
	// Redraw asks for a full-screen program to draw itself anew, though nothing is
	// missing: the client's own words stand in the middle of its picture.
	Redraw bool
}

// resumption is what a session knows of coming back.
type resumption struct {
	token     [sha256.Size]byte // of the resume token; guarded by seat
	confirmed atomic.Bool       // a client has spoken after hello, and so has the token
	coming    atomic.Int32      // how many are coming back
	came      atomic.Int32      // how often somebody has come back
	asked     atomic.Int64      // how often somebody who may has asked to
	seated    int64             // the number of the asking that was last let in; guarded by seat
	settled   bool              // nothing of it runs any more; guarded by svc.mu
	told      bool              // a client has its end; guarded by svc.mu
	keptUntil time.Time         // guarded by svc.mu
}

// resumes reports whether the session may outlive its client at all.
func (s *session) resumes() bool { return s.v2 && s.place.Settings.Resume > 0 }

// waits reports whether the session would wait for its client, were it lost now.
// One that has not been heard of since hello may not have the token.
func (s *session) waits() bool {
	return s.resumes() && s.carrying.Load() && s.resume.confirmed.Load()
}

// confirm notes that c has hello.
func (s *session) confirm(c *client) {
	if !s.resume.confirmed.Load() && s.carrying.Load() && c.ctrl.begun() {
		s.resume.confirmed.Store(true)
	}
}

// issueToken makes a new resume token; the one before is void.
func (s *session) issueToken() string {
	var secret [tokenBytes]byte
	rand.Read(secret[:]) // never fails: crypto/rand
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	s.resume.token = sha256.Sum256([]byte(token))
	return token
}

// holds reports whether token is the session's. The caller has the seat.
func (s *session) holds(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return token != "" && subtle.ConstantTimeCompare(sum[:], s.resume.token[:]) == 1
}

// vacate is the end of a client: told is whether it has the session's end.
func (s *session) vacate(c *client, told bool) {
	s.seat.Lock()
	if s.at.Load() == c {
		s.at.Store(nil)
		s.clock.leave()
		s.countAgain()
		if c.isOver() {
			s.alone(c.why)
		}
	}
	s.seat.Unlock()
	s.svc.tidyAfter(s, told)
}

// alone is what a session does whose client has gone, for the time being.
func (s *session) alone(why parting) {
	if why == left {
		s.runOn()
	}
	s.svc.Log.Info("exec.session.detach", "sessionId", s.id, "actor", s.Actor.Subject, "cluster", s.Cluster,
		"namespace", s.Namespace, "pod", s.Pod, "container", s.Container, "why", why,
		"resume_seconds", int(s.place.Settings.Resume/time.Second))
}

// checkAlone looks at the timers of a session that nobody is at.
func (s *session) checkAlone() {
	away := s.clock.awayFor()
	switch {
	case away >= s.place.Settings.Resume:
		e := endOf(ClientLost)
		e.message = "Nobody came back to the shell in time, so it was ended."
		s.finish(e)
	case away >= holdFor:
		s.runOn()
	}
}

// runOn lets the program go on while nobody is there. A file waits: half of one is
// of no use to anybody.
func (s *session) runOn() {
	if s.file == nil {
		s.out.overwrite()
	}
}

// Attach gives a session that waits, or one that another client has, to conn. An
// error is the reason why not, and conn is the caller's as before.
func (ss *Sessions) Attach(ctx context.Context, req Request, a Attach, conn Conn) error {
	s, err := ss.attachable(ctx, req, a)
	if err == nil {
		defer s.resume.coming.Add(-1)
		err = s.comeBack(ctx, req, a, conn)
	}
	if err == nil {
		return nil
	}
	ss.Metrics.refused(err)
	ss.Log.Info("exec.attach.refused", "sessionId", audit.OneLine(a.SessionID, 64), "actor", req.Actor.Subject,
		"cluster", req.Cluster, "requestId", req.RequestID, "error", err)
	if errors.Is(err, errOvertaken) {
		part(conn, endOf(TakenOver), req.RequestID)
		return nil
	}
	return err
}

// errOvertaken is what became of somebody who asked to come back and was let in later
// than one who asked after them: theirs is the newer connection.
var errOvertaken = fault.New(fault.Conflict, "podexec.take", "A newer connection has come back to the shell meanwhile.")

func noSuchShell(op string) error {
	return fault.New(fault.NotFound, op, "There is no such shell to come back to: it has ended, or it is not yours. Open a new one.")
}

// attachable finds the session and checks who asks for it. Each refusal sounds
// alike, whether it does not exist or is somebody else's.
func (ss *Sessions) attachable(ctx context.Context, req Request, a Attach) (*session, error) {
	s, err := ss.known(a.SessionID)
	if s == nil {
		return nil, err
	}
	if s.resume.coming.Add(1) > maxComing {
		s.resume.coming.Add(-1)
		return nil, fault.New(fault.RateLimited, "podexec.Attach", "Too many windows come back to this shell at once. Try again in a moment.")
	}
	if !s.admits(req, a) {
		s.resume.coming.Add(-1)
		err := noSuchShell("podexec.Attach")
		s.auditAttachRefused(ctx, req, a, audit.Denied, err)
		return nil, err
	}
	return s, nil
}

// known is the session of that id, ended or not; nil where nobody can be at it.
func (ss *Sessions) known(id string) (*session, error) {
	if !sessionIDs.MatchString(id) {
		return nil, noSuchShell("podexec.Attach")
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.draining {
		return nil, fault.New(fault.ShuttingDown, "podexec.Attach", "This server is restarting. Open a new shell in a few seconds.")
	}
	s := ss.live[id]
	if s == nil || !s.resumes() || !s.carrying.Load() || s.resume.settled && s.loggedOut() {
		return nil, noSuchShell("podexec.Attach")
	}
	return s, nil
}

// admits reports whether it is the owner who asks, about this pod, with the token
// or the wish to take the session over. What has ended is not taken over.
func (s *session) admits(req Request, a Attach) bool {
	if !s.Actor.Same(req.Actor) || s.Cluster != req.Cluster || s.Namespace != req.Namespace || s.Pod != req.Pod {
		return false
	}
	if a.Token == "" {
		return a.TakeOver && s.ctx.Err() == nil
	}
	s.seat.Lock()
	defer s.seat.Unlock()
	return s.holds(a.Token)
}

// comeBack makes the checks that an opening makes too, and seats the client.
func (s *session) comeBack(ctx context.Context, req Request, a Attach, conn Conn) error {
	if a.Offset != nil && !s.out.printed(*a.Offset) {
		return fault.New(fault.Protocol, "podexec.Attach", "The offset names output that was never printed. Come back with what has arrived, or with null.")
	}
	number := s.resume.asked.Add(1)
	place, err := s.stillMay(ctx, req)
	if err != nil {
		s.auditAttachRefused(ctx, req, a, outcomeOf(fault.KindOf(err)), err)
		return err
	}
	eventID := newID()
	if err := s.svc.emitRequested(ctx, s.attachEvent(req, a, eventID), "so you were not let back into the shell"); err != nil {
		return err
	}
	back, err := s.take(req, a, number, place, conn)
	s.auditAttached(ctx, s.attachEvent(req, a, eventID), back, err)
	return err
}

// stillMay asks whether who comes back may still exec into the pod. A clear no
// ends the session, as it would within a minute.
func (s *session) stillMay(ctx context.Context, req Request) (Place, error) {
	place, err := s.svc.Directory.Find(ctx, s.Cluster, req.Actor)
	if err != nil {
		return Place{}, err
	}
	err = place.Upstream.CheckExec(ctx, s.Namespace, s.Pod)
	if err != nil && kube.Denied(err) {
		s.finish(noLonger(err))
	}
	return place, err
}

// back is what a client has come back to.
type back struct {
	offset int64         // where its output goes on
	whole  bool          // nothing is missing before that
	away   time.Duration // how long nobody was there
}

// take seats the client. The one before is read no further, and sent nothing more.
// Of two that come at the same time the one that has asked last stays: the other is
// often a connection that its client has given up.
func (s *session) take(req Request, a Attach, number int64, place Place, conn Conn) (back, error) {
	s.seat.Lock()
	defer s.seat.Unlock()
	switch {
	case number < s.resume.seated:
		return back{}, errOvertaken
	case a.Token != "" && !s.holds(a.Token): // somebody took it over meanwhile
		return back{}, noSuchShell("podexec.take")
	}
	c := newClient(s, conn, req.RequestID)
	c.turn.Lock() // until hello is its first frame
	defer c.turn.Unlock()
	old := s.at.Load()
	if old != nil {
		old.retire()
	}
	if !s.svc.seat(s, c, req, place.Upstream) {
		return back{}, noSuchShell("podexec.take")
	}
	defer s.svc.runs(c)
	s.resume.seated = number
	if a.Token != "" {
		s.resume.confirmed.Store(true) // who has the token can come back again
	}
	s.countAgain()
	b := back{away: s.clock.comeBack()}
	b.offset, b.whole = s.out.comeBack(a.Offset)
	c.greet(s.helloAgain(a, b))
	s.relogin.ring()
	s.resume.came.Add(1)
	if a.Size != (transport.Size{}) {
		s.size.set(a.Size)
	}
	if !b.whole || a.Redraw {
		s.size.nudge()
	}
	return b, nil
}

// greet makes hello the client's first frame, and where its stdin stands the next.
func (c *client) greet(h hello) {
	c.s.clock.touch(&c.pinged)
	c.s.clock.touch(&c.excused)
	received, done := c.s.in.comeBack()
	h.StdinOffset = received
	c.ctrl.push(encode(h))
	c.ctrl.comeBack(done)
	c.greeted.Store(true)
}

func (s *session) helloAgain(a Attach, b back) hello {
	h := s.hello()
	h.Resumed, h.Offset = true, b.offset
	if a.Token == "" {
		token := s.issueToken()
		h.ResumeToken = &token
	}
	return h
}

// seat gives the session to c, unless it is no longer known, and has it stand on the
// login and the right that c came with: what becomes of those before decides nothing
// any more. It holds the place of c.run, which runs starts, in what Run waits for.
func (ss *Sessions) seat(s *session, c *client, req Request, up Upstream) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.live[s.id] != s || ss.draining {
		return false
	}
	s.at.Store(c)
	s.login.Store(&req.Login)
	s.unsure = time.Time{}
	if key := keyOf(req); !s.resume.settled {
		if key != s.right.key {
			ss.rights.leave(s)
		}
		ss.rights.join(s, key, up) // the right before, too: it has just been confirmed
	}
	ss.wg.Add(1)
	return true
}

func (ss *Sessions) runs(c *client) {
	go func() {
		defer ss.wg.Done()
		c.run()
	}()
}

// keeps reports whether the session's end is kept for a client that does not know
// of it. Where a login or a right ended nothing is to be had any more.
func (s *session) keeps() bool {
	if !s.waits() {
		return false
	}
	switch s.end.reason {
	case ClientClose, ClientLost, HeartbeatTimeout, Unauthorized, Forbidden, Shutdown, ProtocolError:
		return false
	}
	return true
}

// settle is the end of all that a session runs. Where nobody knows of its end
// yet, it is kept for the rest of the time in which somebody may come back.
func (ss *Sessions) settle(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.rights.leave(s)
	s.resume.settled = true
	if s.keeps() {
		s.resume.keptUntil = time.Now().Add(s.place.Settings.Resume - s.clock.awayFor())
	}
	ss.tidy(s)
	ss.makeRoom(s)
}

// loggedOut reports whether the login that the session stands on has ended.
func (s *session) loggedOut() bool {
	select {
	case <-s.login.Load().Done:
		return true
	default:
		return false
	}
}

// tidyAfter follows the departure of a client.
func (ss *Sessions) tidyAfter(s *session, told bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.resume.told = s.resume.told || told
	ss.tidy(s)
}

// tidy forgets a session that has ended and of which nobody is to hear any more.
// The caller has ss.mu.
func (ss *Sessions) tidy(s *session) {
	r := &s.resume
	if !r.settled || s.at.Load() != nil || ss.live[s.id] != s {
		return
	}
	if !r.told && time.Now().Before(r.keptUntil) && !ss.draining && !s.loggedOut() {
		return
	}
	delete(ss.live, s.id)
	s.out.close()
	if len(ss.live) == 0 {
		close(ss.unwatch)
	}
}

// makeRoom forgets the oldest of an owner's kept sessions where there are too
// many. The caller has ss.mu.
func (ss *Sessions) makeRoom(newest *session) {
	if newest.resume.keptUntil.IsZero() {
		return
	}
	var oldest *session
	kept := 0
	for _, s := range ss.live {
		if !s.resume.settled || !s.Actor.Same(newest.Actor) {
			continue
		}
		if kept++; oldest == nil || s.resume.keptUntil.Before(oldest.resume.keptUntil) {
			oldest = s
		}
	}
	if kept > maxKept {
		oldest.resume.keptUntil = time.Time{}
		ss.tidy(oldest)
	}
}

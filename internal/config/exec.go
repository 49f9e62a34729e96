package config

import "time"

// policy is what shells into one cluster are bound by: the defaults with the
// cluster's overrides.
func (l *loader) policy(where, cluster string, f execFile) ExecPolicy {
	p := l.cfg.Exec.Defaults
	p.Enabled = f.Enabled == nil || *f.Enabled
	p.RequireReason = f.RequireReason != nil && *f.RequireReason
	o := overrides{l, where, cluster}
	o.seconds("serverIdleSeconds", f.ServerIdleSeconds, maxIdle, &p.ServerIdle)
	warned := o.seconds("idleWarnSeconds", f.IdleWarnSeconds, maxIdle, &p.IdleWarn)
	o.seconds("heartbeatSeconds", f.HeartbeatSeconds, maxHeartbeat, &p.Heartbeat)
	o.count("maxSessionsPerUser", f.MaxSessionsPerUser, &p.MaxSessionsPerUser)
	o.count("maxSessionsTotal", f.MaxSessionsTotal, &p.MaxSessionsTotal)
	o.fit(&p, warned)
	return p
}

// overrides reads one cluster's numbers. The spec has a number that is not
// positive passed over as a slip; all other mistakes keep the server from
// starting.
type overrides struct {
	l              *loader
	where, cluster string
}

func (o overrides) count(key string, v *int, to *int) bool {
	switch {
	case v == nil:
		return false
	case *v <= 0:
		o.l.warn("%s: exec.%s of cluster %s is %d; it must be positive, so it is ignored and the default of %d stays", o.where, key, o.cluster, *v, *to)
		return false
	case *v > maxSessions:
		o.tooLarge(key, *v, maxSessions)
		return false
	}
	*to = *v
	return true
}

func (o overrides) seconds(key string, v *int, most int, to *time.Duration) bool {
	switch {
	case v == nil:
		return false
	case *v <= 0:
		o.l.warn("%s: exec.%s of cluster %s is %d; it must be positive, so it is ignored and the default of %d stays", o.where, key, o.cluster, *v, int(to.Seconds()))
		return false
	case *v > most:
		o.tooLarge(key, *v, most)
		return false
	}
	*to = time.Duration(*v) * time.Second
	return true
}

func (o overrides) tooLarge(key string, v, most int) {
	o.l.wrong("%s: exec.%s of cluster %s is %d; give at most %d", o.where, key, o.cluster, v, most)
}

// fit keeps the warning before the end. One that was written for this very
// idle time is a mistake; one that was only inherited gives way.
func (o overrides) fit(p *ExecPolicy, written bool) {
	switch {
	case p.IdleWarn < p.ServerIdle:
	case written:
		o.l.wrong("%s: exec.idleWarnSeconds of cluster %s is %d, not less than the idle time of %d; give less", o.where, o.cluster, int(p.IdleWarn.Seconds()), int(p.ServerIdle.Seconds()))
	default:
		p.IdleWarn = p.ServerIdle / 2
	}
}

// idleWarn does the same for the defaults, once both are read.
func (l *loader) idleWarn() {
	p := &l.cfg.Exec.Defaults
	switch {
	case p.IdleWarn < p.ServerIdle:
	case l.given["PERISCOPE_EXEC_IDLE_WARN_SECONDS"] != "":
		l.wrong("PERISCOPE_EXEC_IDLE_WARN_SECONDS is %d, not less than PERISCOPE_EXEC_IDLE_SECONDS of %d; give less", int(p.IdleWarn.Seconds()), int(p.ServerIdle.Seconds()))
	default:
		p.IdleWarn = p.ServerIdle / 2
	}
}

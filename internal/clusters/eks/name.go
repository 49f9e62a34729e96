package eks

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// What STS takes as a role session's name: 2 to 64 of [\w+=,.@-].
const (
	maxName = 64
	// ownName is that of the server's own sessions.
	ownName    = "periscope"
	namePrefix = ownName + "-"
	// Before and after the sum of a name that does not say all of its subject.
	sumMark  = "="
	sumBytes = 6
)

// sessionName is how a user appears in CloudTrail and in the cluster's audit log.
// STS takes no "/", so what is wanted as periscope/<sub> is periscope-<sub>. Where
// the subject has other characters that STS does not take, or too many, it ends
// with a sum of the whole: two people never share a name. A subject with the sum's
// own mark gets one too, so that none can be made to look like another's.
func sessionName(subject string) string {
	if subject == "" {
		return ownName
	}
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("_+,.@-", r)) {
			return r
		}
		return '-'
	}, subject)
	if clean == subject && len(namePrefix)+len(clean) <= maxName {
		return namePrefix + clean
	}
	sum := sha256.Sum256([]byte(subject))
	tail := sumMark + hex.EncodeToString(sum[:sumBytes])
	return namePrefix + clean[:min(len(clean), maxName-len(namePrefix)-len(tail))] + tail
}

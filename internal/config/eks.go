package config

import (
	"cmp"
	"regexp"
	"strings"
)

// maxARN bounds an ARN, in bytes; a role's has a path of at most 512.
const maxARN = 1024

var (
	clusterARN = regexp.MustCompile(`^arn:(aws[a-z-]*):eks:([a-z0-9-]+):([0-9]{1,12}):cluster/([0-9A-Za-z][A-Za-z0-9_-]*)$`)
	roleARN    = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::[0-9]{1,12}:role/[\x21-\x7e]+$`)
)

// eks checks what an EKS cluster needs. The ARN says it all; region may say its
// part of it again.
func (l *loader) eks(where string, c clusterFile) {
	m := clusterARN.FindStringSubmatch(c.ARN)
	switch {
	case c.ARN == "":
		l.wrong("%s: cluster %s needs arn, such as arn:aws:eks:eu-west-1:111111111111:cluster/%s", where, c.Name, cmp.Or(c.Name, "prod"))
		return
	case m == nil:
		l.wrong("%s: arn of cluster %s is %q, which is no ARN of an EKS cluster; write arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME, as `aws eks describe-cluster` prints it", where, c.Name, clip(c.ARN))
		return
	case c.Region != "" && c.Region != m[2]:
		l.wrong("%s: region of cluster %s is %q and its arn says %q; make them agree or remove region", where, c.Name, c.Region, m[2])
	}
	role := roleARN.FindStringSubmatch(c.AssumeRoleARN)
	switch {
	case c.AssumeRoleARN == "":
	case role == nil || len(c.AssumeRoleARN) > maxARN:
		l.wrong("%s: assumeRoleArn of cluster %s is %q, which is no ARN of a role; write arn:%s:iam::ACCOUNT:role/NAME", where, c.Name, clip(c.AssumeRoleARN), m[1])
	case role[1] != m[1]:
		l.wrong("%s: assumeRoleArn of cluster %s is of partition %s and its arn of %s; credentials do not reach from one to the other, so name a role there", where, c.Name, role[1], m[1])
	}
}

// eksParts are the region and the name that EKS knows the cluster by, of an ARN
// that eks has checked.
func eksParts(arn string) (region, name string) {
	m := clusterARN.FindStringSubmatch(arn)
	if m == nil {
		return "", ""
	}
	return m[2], m[4]
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

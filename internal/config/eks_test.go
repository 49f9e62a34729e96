package config

import (
	"strings"
	"testing"
)

// eksFile is clusters.yaml with one EKS cluster of these lines.
func eksFile(lines ...string) Sources {
	return sources(goodAuth, "clusters:\n  - name: prod\n    backend: eks\n    "+strings.Join(lines, "\n    ")+"\n")
}

func TestEKS(t *testing.T) {
	for _, c := range []struct {
		lines              []string
		region, name, role string
	}{
		{[]string{"arn: arn:aws:eks:eu-west-1:222222222222:cluster/Prod_eu-1"}, "eu-west-1", "Prod_eu-1", ""},
		{[]string{"arn: arn:aws:eks:eu-west-1:222222222222:cluster/prod", "region: eu-west-1", "assumeRoleArn: arn:aws:iam::333333333333:role/team/periscope"}, "eu-west-1", "prod", "arn:aws:iam::333333333333:role/team/periscope"},
		{[]string{"arn: arn:aws-cn:eks:cn-north-1:222222222222:cluster/prod", "assumeRoleArn: arn:aws-cn:iam::333333333333:role/p"}, "cn-north-1", "prod", "arn:aws-cn:iam::333333333333:role/p"},
		{[]string{"arn: arn:aws-us-gov:eks:us-gov-west-1:222222222222:cluster/prod"}, "us-gov-west-1", "prod", ""},
		{[]string{"arn: arn:aws-iso-b:eks:us-isob-east-1:222222222222:cluster/prod"}, "us-isob-east-1", "prod", ""},
		// The guides shorten accounts.
		{[]string{"arn: arn:aws:eks:us-east-1:111:cluster/prod"}, "us-east-1", "prod", ""},
	} {
		cfg, warnings := load(t, eksFile(c.lines...))
		got := cfg.Clusters[0]
		if got.Backend != EKS || got.Region != c.region || got.EKSName != c.name || got.AssumeRoleARN != c.role || !strings.HasSuffix(c.lines[0], got.ARN) || len(warnings) > 0 {
			t.Errorf("%q is %+v, %q", c.lines, got, warnings)
		}
	}
}

func TestEKSMistakes(t *testing.T) {
	const arn = "arn: arn:aws:eks:eu-west-1:222222222222:cluster/prod"
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"region: eu-west-1"}, "cluster prod needs arn, such as arn:aws:eks:eu-west-1:111111111111:cluster/prod"},
		{[]string{"arn: prod"}, `arn of cluster prod is "prod", which is no ARN of an EKS cluster`},
		{[]string{"arn: arn:aws:ecs:eu-west-1:222222222222:cluster/prod"}, "no ARN of an EKS cluster"},
		{[]string{"arn: arn:aws:eks:eu-west-1:222222222222:nodegroup/prod"}, "no ARN of an EKS cluster"},
		{[]string{"arn: arn:aws:eks::222222222222:cluster/prod"}, "no ARN of an EKS cluster"},
		{[]string{"arn: arn:gcp:eks:eu-west-1:222222222222:cluster/prod"}, "no ARN of an EKS cluster"},
		{[]string{"arn: arn:aws:eks:eu-west-1:22222222222x:cluster/prod"}, "no ARN of an EKS cluster"},
		{[]string{"arn: arn:aws:eks:eu-west-1:222222222222:cluster/prod/../other"}, "no ARN of an EKS cluster"},
		{[]string{"arn: arn:aws:eks:eu-west-1.evil.example:222222222222:cluster/prod"}, "no ARN of an EKS cluster"},
		{[]string{`arn: "arn:aws:eks:eu-west-1:222222222222:cluster/prod\nx"`}, "no ARN of an EKS cluster"},
		{[]string{arn, "region: us-east-1"}, `region of cluster prod is "us-east-1" and its arn says "eu-west-1"`},
		{[]string{arn, "assumeRoleArn: periscope"}, `assumeRoleArn of cluster prod is "periscope", which is no ARN of a role; write arn:aws:iam::ACCOUNT:role/NAME`},
		{[]string{arn, "assumeRoleArn: arn:aws:iam::333333333333:user/me"}, "no ARN of a role"},
		{[]string{arn, "assumeRoleArn: arn:aws:sts::333333333333:assumed-role/p/s"}, "no ARN of a role"},
		{[]string{arn, "assumeRoleArn: arn:aws-cn:iam::333333333333:role/p"}, "of partition aws-cn and its arn of aws"},
		{[]string{arn, "assumeRoleArn: arn:aws:iam::333333333333:role/" + strings.Repeat("x", 2000)}, "no ARN of a role"},
		{[]string{arn, "kubeconfigPath: /k"}, "for the backend kubeconfig alone"},
		{[]string{arn, "assumeRoleARN: x"}, `unknown key "assumeRoleARN"`},
	} {
		_, _, err := Load(eksFile(c.lines...))
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 800 {
			t.Errorf("%q: %v", c.lines, err)
		}
	}
	_, _, err := Load(sources(goodAuth, "clusters: [{name: a, backend: in-cluster, assumeRoleArn: x}]"))
	if err == nil || !strings.Contains(err.Error(), "assumeRoleArn of cluster a is for the backend eks alone") {
		t.Error(err)
	}
}

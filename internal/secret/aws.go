package secret

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/periscope-console/periscope/internal/awsapi"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/flight"
)

const (
	managerScheme   = "aws-secretsmanager://"
	parameterScheme = "aws-ssm://"
)

const (
	// fresh is how long a secret is used before AWS is asked again: what changed
	// there is in use here after that time.
	fresh = 5 * time.Minute
	// stale is how long one is used while AWS cannot be asked.
	stale = time.Hour
	// maxKey bounds the key of a secret's JSON, in bytes.
	maxKey = 256
)

// chain is the process's way to AWS.
var chain = awsapi.NewChain()

// Names as AWS writes them, or whole ARNs, and the longest that AWS has.
var (
	managedName   = regexp.MustCompile(`^[A-Za-z0-9/_+=.@:-]+$`)
	parameterName = regexp.MustCompile(`^[A-Za-z0-9/_.:-]+$`)
)

const (
	maxManaged   = 512 + 100 // the name, and the rest of its ARN
	maxParameter = 1011 + 100
)

// remote is a secret of AWS.
type remote struct {
	group *flight.Group
	value *flight.Value[string]
}

// call is one kind of call to AWS, and the permission that it needs.
type call struct {
	permission string
	read       func(context.Context, aws.Config) (string, error)
}

// newRemote reads by c with credentials of from, in the region that name says
// where it is an ARN, else in the chain's own.
func newRemote(name string, from *awsapi.Chain, c call) *remote {
	region := ""
	if a, err := arn.Parse(name); err == nil {
		region = a.Region
	}
	fetch := func(ctx context.Context) (string, flight.Life, error) {
		value, err := c.ask(ctx, from, region, "read the secret "+name)
		value = strings.TrimRight(value, "\r\n") // as of a file
		if err == nil {
			err = check(name, value)
		}
		return value, lifeFrom(time.Now()), err
	}
	group := flight.NewGroup(awsapi.CallLimit, nil)
	return &remote{group: group, value: flight.New(group, fetch, awsapi.Pause)}
}

// lifeFrom waits for a new value once one is old: after a quiet night the first
// login gets the secret as it is, not as it was.
func lifeFrom(now time.Time) flight.Life {
	return flight.Life{Renew: now.Add(fresh), Expire: now.Add(fresh), Stale: now.Add(stale)}
}

func (c call) ask(ctx context.Context, from *awsapi.Chain, region, what string) (string, error) {
	cfg, err := from.Config(ctx, region, region)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "secret", "Could not %s: the settings for AWS cannot be used. Check the AWS_… variables and the files that they name.", what)
	}
	if cfg.Region == "" {
		return "", wrong("Could not %s: no region is set. Set AWS_REGION, or give the whole ARN.", what)
	}
	if _, err := awsapi.Credentials(ctx, cfg.Credentials); err != nil {
		return "", awsapi.Fault(err, fault.Invalid, "secret", what)
	}
	value, err := c.read(ctx, cfg)
	if awsapi.Denied(err) {
		return "", fault.Wrap(err, fault.Invalid, "secret", "Could not %s: AWS does not allow it to this server. Give its role %s.", what, c.permission)
	}
	return value, awsapi.Fault(err, fault.Invalid, "secret", what)
}

func check(name, value string) error {
	switch {
	case value == "":
		return wrong("The secret %s is empty. Put a text into it.", name)
	case len(value) > maxSize:
		return wrong("The secret %s is larger than %d KiB. Name the one that holds the secret alone.", name, maxSize>>10)
	}
	return nil
}

// Get implements Source.
func (r *remote) Get(ctx context.Context) (string, error) {
	value, err := r.value.Get(ctx)
	return value, awsapi.Fault(err, fault.Invalid, "secret", "read a secret")
}

// close waits for a read under way. Sources live as long as the process; tests
// end earlier.
func (r *remote) close() { r.group.Close() }

func newManaged(setting string, from *awsapi.Chain) (Source, error) {
	name, key, keyed := strings.Cut(setting, "#")
	if len(name) > maxManaged || !managedName.MatchString(name) {
		return nil, wrong("%s%s names no secret of AWS. Write %sNAME or %sNAME#KEY.", managerScheme, clip(name), managerScheme, managerScheme)
	}
	if keyed && (key == "" || len(key) > maxKey) {
		return nil, wrong("%s%s needs a key of at most %d bytes after #. Name the key of the secret's JSON, or leave # out.", managerScheme, clip(name), maxKey)
	}
	return newRemote(name, from, call{"secretsmanager:GetSecretValue on it, and kms:Decrypt where it has a key of its own", func(ctx context.Context, cfg aws.Config) (string, error) {
		out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
		switch {
		case awsapi.Code(err) == "ResourceNotFoundException":
			return "", missing(err, name, cfg.Region)
		case err != nil:
			return "", err
		case out.SecretString == nil:
			return "", wrong("The secret %s holds bytes and no text. Store it as text.", name)
		case keyed:
			return member(name, *out.SecretString, key)
		}
		return *out.SecretString, nil
	}}), nil
}

// member is one text of a secret that is a JSON object. The decoder's own words
// are left out: they may quote the secret.
func member(name, text, key string) (string, error) {
	var object map[string]json.RawMessage
	if len(text) > maxSize || json.Unmarshal([]byte(text), &object) != nil {
		return "", wrong("The secret %s is no JSON object, so it has no key %s. Leave # and the key out, or store JSON.", name, clip(key))
	}
	var value string
	raw, ok := object[key]
	if !ok {
		return "", wrong("The secret %s has no key %s. Check the name after #.", name, clip(key))
	}
	if json.Unmarshal(raw, &value) != nil {
		return "", wrong("The key %s of the secret %s is no text. Put it in quotes there.", clip(key), name)
	}
	return value, nil
}

func missing(err error, name, region string) error {
	return fault.Wrap(err, fault.Invalid, "secret", "There is no secret %s in region %s. Check the name, the region (AWS_REGION) and the account.", name, region)
}

func newParameter(name string, from *awsapi.Chain) (Source, error) {
	if len(name) > maxParameter || !parameterName.MatchString(name) || name == "/" {
		return nil, wrong("%s%s names no parameter of AWS. Write %s/PATH, as in %s/prod/periscope/client-secret.", parameterScheme, clip(name), parameterScheme, parameterScheme)
	}
	return newRemote(name, from, call{"ssm:GetParameter on it, and kms:Decrypt on its key", func(ctx context.Context, cfg aws.Config) (string, error) {
		out, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		switch {
		case awsapi.Code(err) == "ParameterNotFound":
			return "", missing(err, name, cfg.Region)
		case err != nil:
			return "", err
		case out.Parameter == nil:
			return "", errors.New("the answer has no parameter")
		}
		return aws.ToString(out.Parameter.Value), nil
	}}), nil
}

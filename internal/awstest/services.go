package awstest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// protocol is how a service is spoken to.
type protocol struct {
	// route is the call's name, and what answers it where it is known.
	route       func(*request) (string, func(*AWS, *request) ([]byte, *refusal))
	refuse      func(http.ResponseWriter, Failure, string)
	contentType func(*http.Request) string
}

var protocols = map[string]protocol{
	"sts":            {routeSTS, refuseXML, stsType},
	"eks":            {routeEKS, refuseJSON, jsonType},
	"secretsmanager": {routeTarget, refuseJSON, jsonType},
	"ssm":            {routeTarget, refuseJSON, jsonType},
}

func jsonType(*http.Request) string { return "application/json" }

func stsType(r *http.Request) string {
	if r.Header.Get("Accept") == "application/json" {
		return "application/json"
	}
	return "text/xml"
}

func refuseJSON(w http.ResponseWriter, f Failure, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", f.Code)
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.Code, "message": why})
}

func refuseXML(w http.ResponseWriter, f Failure, why string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(f.Status)
	type inner struct {
		Type, Code, Message string
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Error   inner
	}{Error: inner{"Sender", f.Code, why}})
}

// principal is whose key signs.
type principal struct {
	secret, token string
	arn, userID   string
	expires       time.Time
}

// role may be taken by those it trusts.
type role struct{ trusts []string }

// Keys give somebody's key as the SDK's variables name it.
type Keys struct{ ID, Secret, Token string }

// Environ is for the SDK.
func (k Keys) Environ() map[string]string {
	return map[string]string{"AWS_ACCESS_KEY_ID": k.ID, "AWS_SECRET_ACCESS_KEY": k.Secret, "AWS_SESSION_TOKEN": k.Token, "AWS_REGION": "eu-west-1"}
}

// User makes a principal of this ARN with a key that does not end.
func (a *AWS) User(arn string) Keys {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issue(principal{arn: arn, userID: fmt.Sprintf("AIDA%016d", len(a.keys))})
}

// issue needs mu.
func (a *AWS) issue(p principal) Keys {
	n := len(a.keys)
	k := Keys{ID: fmt.Sprintf("ASIA%016d", n), Secret: fmt.Sprintf("secret/+=%032d", n)}
	if !p.expires.IsZero() {
		k.Token = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "session token %d/+ of %s", n, p.arn))
	}
	p.secret, p.token = k.Secret, k.Token
	a.keys[k.ID] = p
	return k
}

// Expire ends a key now.
func (a *AWS) Expire(k Keys) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.keys[k.ID]
	p.expires = a.now().Add(-time.Second)
	a.keys[k.ID] = p
}

// Session gives a key of a role's session, that ends after life.
func (a *AWS) Session(roleARN, name string, life time.Duration) Keys {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session(roleARN, name, life)
}

var roleARNs = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):role/(?:.*/)?([^/]+)$`)

// session needs mu.
func (a *AWS) session(roleARN, name string, life time.Duration) Keys {
	m := roleARNs.FindStringSubmatch(roleARN)
	a.sessions = append(a.sessions, name)
	return a.issue(principal{
		arn:    fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", m[1], m[2], m[3], name),
		userID: "AROA0000000000000000:" + name, expires: a.now().Add(life),
	})
}

// Owner is the ARN of whoever a key was given to.
func (a *AWS) Owner(keyID string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[keyID].arn
}

// PodIdentity runs the agent of EKS Pod Identity until the test ends, and says
// by which environment a pod of this role finds it.
func (a *AWS) PodIdentity(t testing.TB, roleARN string) map[string]string {
	t.Helper()
	const shown = "the pod's own token"
	file := filepath.Join(t.TempDir(), "eks-pod-identity-token")
	if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
		t.Fatalf("awstest: %v", err)
	}
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != shown {
			http.Error(w, "whose token is that?", http.StatusForbidden)
			return
		}
		a.mu.Lock()
		k := a.session(roleARN, "eks-prod-periscope-0", 6*time.Hour)
		expires := a.keys[k.ID].expires
		a.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": k.ID, "SecretAccessKey": k.Secret, "Token": k.Token, "Expiration": expires.Format(time.RFC3339),
		})
	}))
	t.Cleanup(agent.Close)
	return map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.URL + "/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file, "AWS_REGION": "eu-west-1",
	}
}

// Role makes a role that principals may take whose ARN begins so.
func (a *AWS) Role(arn string, trusts ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.roles[arn] = role{trusts}
}

// WebIdentity lets who shows token be this role: IRSA.
func (a *AWS) WebIdentity(token, roleARN string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.web[token] = roleARN
}

func form(r *request) url.Values {
	q := r.URL.Query()
	if posted, err := url.ParseQuery(string(r.body)); err == nil {
		maps.Copy(q, posted)
	}
	return q
}

func routeSTS(r *request) (string, func(*AWS, *request) ([]byte, *refusal)) {
	call := form(r).Get("Action")
	return call, map[string]func(*AWS, *request) ([]byte, *refusal){
		"GetCallerIdentity": callerIdentity, "AssumeRole": assumeRole, "AssumeRoleWithWebIdentity": assumeRoleWithWebIdentity,
	}[call]
}

func account(arn string) string { return strings.Split(arn, ":")[4] }

// callerIdentity answers JSON to whoever asks for it, as STS does: EKS's
// authenticator does.
func callerIdentity(_ *AWS, r *request) ([]byte, *refusal) {
	result := map[string]string{"Account": account(r.who.arn), "Arn": r.who.arn, "UserId": r.who.userID}
	if stsType(r.Request) == "application/json" {
		out, err := json.Marshal(map[string]any{"GetCallerIdentityResponse": map[string]any{"GetCallerIdentityResult": result}})
		return out, internal(err)
	}
	return fmt.Appendf(nil, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>%s</Arn><UserId>%s</UserId><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
		result["Arn"], result["UserId"], result["Account"]), nil
}

func internal(err error) *refusal {
	if err != nil {
		return refuse(http.StatusInternalServerError, "InternalFailure", "%v", err)
	}
	return nil
}

// What STS takes as a session's name.
var sessionNames = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func assumeRole(a *AWS, r *request) ([]byte, *refusal) {
	f := form(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	trusted := false
	for _, prefix := range a.roles[f.Get("RoleArn")].trusts {
		trusted = trusted || strings.HasPrefix(r.who.arn, prefix)
	}
	if !trusted {
		return nil, refuse(http.StatusForbidden, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", r.who.arn, f.Get("RoleArn"))
	}
	return a.taken(f, "AssumeRole")
}

func assumeRoleWithWebIdentity(a *AWS, r *request) ([]byte, *refusal) {
	f := form(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if arn, ok := a.web[f.Get("WebIdentityToken")]; !ok || arn != f.Get("RoleArn") {
		return nil, refuse(http.StatusBadRequest, "InvalidIdentityToken", "No OpenIDConnect provider found in your account")
	}
	return a.taken(f, "AssumeRoleWithWebIdentity")
}

// taken needs mu.
func (a *AWS) taken(f url.Values, call string) ([]byte, *refusal) {
	name := f.Get("RoleSessionName")
	if !sessionNames.MatchString(name) {
		return nil, refuse(http.StatusBadRequest, "ValidationError", "Value %q at 'roleSessionName' failed to satisfy constraint: [\\w+=,.@-]*", name)
	}
	life := time.Hour
	if s := f.Get("DurationSeconds"); s != "" {
		if d, err := time.ParseDuration(s + "s"); err == nil {
			life = d
		}
	}
	k := a.session(f.Get("RoleArn"), name, life)
	p := a.keys[k.ID]
	return fmt.Appendf(nil, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><AssumedRoleUser><Arn>%[2]s</Arn><AssumedRoleId>%[3]s</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>%[4]s</AccessKeyId><SecretAccessKey>%[5]s</SecretAccessKey><SessionToken>%[6]s</SessionToken><Expiration>%[7]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		call, p.arn, p.userID, k.ID, k.Secret, k.Token, p.expires.Format(time.RFC3339)), nil
}

// Cluster is one of EKS.
type Cluster struct {
	ARN, Status, Endpoint string
	CA                    []byte // PEM
	// Readers are who may describe it, by how their ARNs begin.
	Readers []string
}

// SetCluster makes or changes it.
func (a *AWS) SetCluster(c Cluster) {
	a.mu.Lock()
	defer a.mu.Unlock()
	part := strings.Split(c.ARN, ":")
	a.clusters[part[3]+"/"+strings.TrimPrefix(part[5], "cluster/")] = c
}

func routeEKS(r *request) (string, func(*AWS, *request) ([]byte, *refusal)) {
	if strings.HasPrefix(r.URL.Path, "/clusters/") && r.Method == http.MethodGet {
		return "DescribeCluster", describe
	}
	return r.Method + " " + r.URL.Path, nil
}

func describe(a *AWS, r *request) ([]byte, *refusal) {
	name := strings.TrimPrefix(r.URL.Path, "/clusters/")
	a.mu.Lock()
	c, ok := a.clusters[r.region+"/"+name]
	a.mu.Unlock()
	allowed := false
	for _, prefix := range c.Readers {
		allowed = allowed || strings.HasPrefix(r.who.arn, prefix)
	}
	switch {
	case !ok:
		return nil, refuse(http.StatusNotFound, "ResourceNotFoundException", "No cluster found for name: %s.", name)
	case !allowed:
		return nil, refuse(http.StatusForbidden, "AccessDeniedException", "User: %s is not authorized to perform: eks:DescribeCluster on resource: %s", r.who.arn, c.ARN)
	}
	cluster := map[string]any{"name": name, "arn": c.ARN, "status": c.Status, "version": "1.36"}
	if c.Endpoint != "" {
		cluster["endpoint"] = c.Endpoint
		cluster["certificateAuthority"] = map[string]string{"data": base64.StdEncoding.EncodeToString(c.CA)}
	}
	out, err := json.Marshal(map[string]any{"cluster": cluster})
	return out, internal(err)
}

// SetSecret makes or changes a secret of Secrets Manager.
func (a *AWS) SetSecret(region, name, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets[region+"/"+name] = text
}

// SetParameter makes or changes a SecureString of Systems Manager.
func (a *AWS) SetParameter(region, name, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parameters[region+"/"+name] = text
}

func routeTarget(r *request) (string, func(*AWS, *request) ([]byte, *refusal)) {
	_, call, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return call, map[string]func(*AWS, *request) ([]byte, *refusal){"GetSecretValue": secretValue, "GetParameter": parameter}[call]
}

// Bytes is a secret that is no text.
const Bytes = "\x00bytes"

func secretValue(a *AWS, r *request) ([]byte, *refusal) {
	var in struct{ SecretID string }
	if err := json.Unmarshal(r.body, &in); err != nil {
		return nil, refuse(http.StatusBadRequest, "SerializationException", "%v", err)
	}
	a.mu.Lock()
	text, ok := a.secrets[r.region+"/"+in.SecretID]
	a.mu.Unlock()
	if !ok {
		return nil, refuse(http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	answer := map[string]any{"Name": in.SecretID, "SecretString": text}
	if text == Bytes {
		answer = map[string]any{"Name": in.SecretID, "SecretBinary": []byte(text)}
	}
	out, err := json.Marshal(answer)
	return out, internal(err)
}

func parameter(a *AWS, r *request) ([]byte, *refusal) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return nil, refuse(http.StatusBadRequest, "SerializationException", "%v", err)
	}
	a.mu.Lock()
	text, ok := a.parameters[r.region+"/"+in.Name]
	a.mu.Unlock()
	if !ok {
		return nil, refuse(http.StatusBadRequest, "ParameterNotFound", "")
	}
	if !in.WithDecryption {
		text = "AQICAHi…ciphertext"
	}
	out, err := json.Marshal(map[string]any{"Parameter": map[string]any{"Name": in.Name, "Type": "SecureString", "Value": text}})
	return out, internal(err)
}

package awstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// How old a signature may be, as AWS has it: STS takes presigned requests for 15
// minutes whatever they say of themselves.
const (
	signedFor    = 5 * time.Minute
	presignedFor = 15 * time.Minute
	timeFormat   = "20060102T150405Z"
	algorithm    = "AWS4-HMAC-SHA256"
)

// signature is what a request says of its signature (AWS Signature Version 4,
// "Authenticating Requests"). It is written from the documentation and shares
// nothing with the SDK that made the request.
type signature struct {
	key, day, region, service string
	headers                   []string
	value, token              string
	at                        time.Time
	presigned                 bool
}

// signatureOf reads it from the Authorization header, else from the query.
func signatureOf(r *http.Request) (signature, error) {
	if words := r.Header.Get("Authorization"); words != "" {
		return fromHeader(r, words)
	}
	q := r.URL.Query()
	if q.Get("X-Amz-Algorithm") != algorithm {
		return signature{}, fmt.Errorf("no signature")
	}
	s := signature{value: q.Get("X-Amz-Signature"), token: q.Get("X-Amz-Security-Token"), presigned: true}
	return s, s.parse(q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Date"))
}

func fromHeader(r *http.Request, words string) (signature, error) {
	rest, ok := strings.CutPrefix(words, algorithm+" ")
	if !ok {
		return signature{}, fmt.Errorf("another algorithm: %.40s", words)
	}
	parts := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	s := signature{value: parts["Signature"], token: r.Header.Get("X-Amz-Security-Token")}
	return s, s.parse(parts["Credential"], parts["SignedHeaders"], r.Header.Get("X-Amz-Date"))
}

func (s *signature) parse(credential, headers, date string) (err error) {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return fmt.Errorf("the scope is %q", credential)
	}
	s.key, s.day, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	s.headers = strings.Split(headers, ";")
	if !slices.IsSorted(s.headers) || !slices.Contains(s.headers, "host") {
		return fmt.Errorf("the signed headers are %q", headers)
	}
	s.at, err = time.Parse(timeFormat, date)
	if err == nil && s.at.Format("20060102") != s.day {
		err = fmt.Errorf("signed on %s for %s", date, s.day)
	}
	return err
}

// current is an error where the signature is not of now.
func (s signature) current(now time.Time) error {
	valid := signedFor
	if s.presigned {
		valid = presignedFor
	}
	if now.After(s.at.Add(valid)) {
		return fmt.Errorf("signature expired: %s is now earlier than %s", s.at.Format(timeFormat), now.Add(-valid).Format(timeFormat))
	}
	if s.at.After(now.Add(signedFor)) {
		return fmt.Errorf("signature not yet current: %s is still later than %s", s.at.Format(timeFormat), now.Add(signedFor).Format(timeFormat))
	}
	return nil
}

// matches signs the request anew with the secret.
func (s signature) matches(r *http.Request, body []byte, secret string) bool {
	toSign := strings.Join([]string{
		algorithm, s.at.Format(timeFormat), strings.Join([]string{s.day, s.region, s.service, "aws4_request"}, "/"), digest([]byte(s.canonical(r, body))),
	}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.day, s.region, s.service, "aws4_request"} {
		key = sum(key, part)
	}
	return hmac.Equal([]byte(hex.EncodeToString(sum(key, toSign))), []byte(s.value))
}

func (s signature) canonical(r *http.Request, body []byte) string {
	lines := []string{r.Method, escape(r.URL.EscapedPath(), true), query(r.URL.Query())}
	for _, name := range s.headers {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		lines = append(lines, name+":"+strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(append(lines, "", strings.Join(s.headers, ";"), digest(body)), "\n")
}

// query is sorted and escaped, without the signature itself.
func query(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, value := range values {
			if name != "X-Amz-Signature" {
				pairs = append(pairs, escape(name, false)+"="+escape(value, false))
			}
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape leaves the unreserved characters of RFC 3986, and / where it is a path.
func escape(s string, path bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		plain := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0
		if plain || path && c == '/' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func sum(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Command ekswebhook is what stands before the apiserver of an EKS cluster, for
// tests: the webhook that turns a token into a user. The token is verified by
// sigs.k8s.io/aws-iam-authenticator, and mapped by its mapper; its calls to STS go
// to the address that --sts names. Loopback only.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	authentication "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/aws-iam-authenticator/pkg/config"
	"sigs.k8s.io/aws-iam-authenticator/pkg/mapper"
	"sigs.k8s.io/aws-iam-authenticator/pkg/mapper/file"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

const (
	limit   = 10 * time.Second
	maxBody = 1 << 20 // bytes
)

type options struct {
	sts, ca                    string
	cluster, partition, region string
	roles                      []config.RoleMapping
	exitWithParent             bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ekswebhook:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("ekswebhook", flag.ContinueOnError)
	fs.StringVar(&o.sts, "sts", "", "HOST:PORT where every address of STS leads")
	fs.StringVar(&o.ca, "sts-ca", "", "file with the CA of what answers there")
	fs.StringVar(&o.cluster, "cluster", "", "name of the EKS cluster that tokens must be for")
	fs.StringVar(&o.partition, "partition", "aws", "partition of the cluster")
	fs.StringVar(&o.region, "region", "eu-west-1", "region of the cluster")
	fs.Func("role", "ARN=USER=GROUP[,GROUP]: whom sessions of a role are (may be repeated)", func(s string) error {
		part := strings.Split(s, "=")
		if len(part) != 3 {
			return errors.New("want ARN=USER=GROUP[,GROUP]")
		}
		o.roles = append(o.roles, config.RoleMapping{RoleARN: part[0], Username: part[1], Groups: strings.Split(part[2], ",")})
		return nil
	})
	fs.BoolVar(&o.exitWithParent, "exit-with-parent", false, "end when the process that started this one ends")
	err := fs.Parse(args)
	if err == nil && (o.sts == "" || o.ca == "" || o.cluster == "") {
		err = errors.New("--sts, --sts-ca and --cluster are needed")
	}
	return o, err
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.exitWithParent {
		if ctx, err = whileParentLives(ctx); err != nil {
			return err
		}
	}
	w, err := newWebhook(o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: w, ReadTimeout: limit, WriteTimeout: 2 * limit}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println("ready: http://" + listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// webhook answers TokenReviews.
type webhook struct {
	verifier token.Verifier
	mapper   mapper.Mapper
}

func newWebhook(o options) (*webhook, error) {
	if err := leadSTS(o); err != nil {
		return nil, err
	}
	m, err := file.NewFileMapper(config.Config{RoleMappings: o.roles})
	return &webhook{token.NewVerifier(o.cluster, o.partition, o.region), m}, err
}

// leadSTS changes the process's own transport: the verifier uses it, and lets
// nobody bring another.
func leadSTS(o options) error {
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate", o.ca)
	}
	http.DefaultTransport = &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: limit}).DialContext(ctx, network, o.sts)
		},
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
	return nil
}

func (w *webhook) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	var review authentication.TokenReview
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&review); err != nil {
		http.Error(out, "expected a TokenReview", http.StatusBadRequest)
		return
	}
	review.Status = w.review(review.Spec.Token)
	review.Spec.Token = ""
	review.TypeMeta = metav1.TypeMeta{APIVersion: authentication.SchemeGroupVersion.String(), Kind: "TokenReview"}
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(review)
}

// review says who a token is, with the extras that EKS gives them.
func (w *webhook) review(text string) authentication.TokenReviewStatus {
	id, err := w.verifier.Verify(text)
	if err != nil {
		slog.Warn("not verified", "error", err)
		return authentication.TokenReviewStatus{Error: err.Error()}
	}
	who, err := w.mapper.Map(id)
	if err != nil {
		slog.Warn("not mapped", "arn", id.ARN, "error", err)
		return authentication.TokenReviewStatus{Error: err.Error()}
	}
	slog.Info("verified", "arn", id.ARN, "user", who.Username)
	return authentication.TokenReviewStatus{Authenticated: true, User: authentication.UserInfo{
		Username: who.Username, Groups: who.Groups, UID: "aws-iam-authenticator:" + id.AccountID + ":" + id.UserID,
		Extra: map[string]authentication.ExtraValue{
			"arn": {id.ARN}, "canonicalArn": {id.CanonicalARN}, "sessionName": {id.SessionName}, "accessKeyId": {id.AccessKeyID}, "principalId": {id.UserID},
		},
	}}
}

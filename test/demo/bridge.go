package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// bridgeGroup is bound to the right to impersonate, and to nothing else.
const bridgeGroup = "periscope-bridge"

const bridgeLife = 30 * 24 * time.Hour // the next start makes another one

// bridgeKubeconfig is a kubeconfig of the server's own identity, for the cluster
// of an administrator's: a client certificate from the cluster's authority, as
// somebody who runs a cluster would give it.
func bridgeKubeconfig(admins, pki string) (string, error) {
	cfg, err := clientcmd.LoadFromFile(admins)
	if err != nil {
		return "", err
	}
	current := cfg.Contexts[cfg.CurrentContext]
	cert, key, err := issue(pki, pkix.Name{CommonName: "periscope", Organization: []string{bridgeGroup}})
	if err != nil {
		return "", err
	}
	text, err := clientcmd.Write(api.Config{
		Clusters:       map[string]*api.Cluster{"demo": cfg.Clusters[current.Cluster]},
		AuthInfos:      map[string]*api.AuthInfo{"periscope": {ClientCertificateData: cert, ClientKeyData: key}},
		Contexts:       map[string]*api.Context{"demo": {Cluster: "demo", AuthInfo: "periscope"}},
		CurrentContext: "demo",
	})
	return string(text), err
}

// issue signs a client certificate by the authority in a folder.
func issue(folder string, name pkix.Name) (certPEM, keyPEM []byte, err error) {
	ca, err := readPEM(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, nil, err
	}
	authority, err := x509.ParseCertificate(ca)
	if err != nil {
		return nil, nil, err
	}
	caKey, err := readPEM(filepath.Join(folder, "ca.key"))
	if err != nil {
		return nil, nil, err
	}
	signer, err := x509.ParseECPrivateKey(caKey)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: name, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(bridgeLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, authority, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), nil
}

func readPEM(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", file)
	}
	return block.Bytes, nil
}

package kube

import (
	"unicode"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/internal/fault"
)

// Names that come from a client become path segments and selectors. Each is
// checked before use by one of these, whose errors are faults Invalid.

// CheckCluster allows a DNS-1123 label.
func CheckCluster(name string) error { return check("cluster", name, validation.IsDNS1123Label) }

// CheckNamespace allows a DNS-1123 label.
func CheckNamespace(name string) error { return check("namespace", name, validation.IsDNS1123Label) }

// CheckPod allows a DNS-1123 subdomain.
func CheckPod(name string) error { return check("pod", name, validation.IsDNS1123Subdomain) }

// CheckContainer allows a DNS-1123 label.
func CheckContainer(name string) error { return check("container", name, validation.IsDNS1123Label) }

// checkObject allows any name that is one path segment.
func checkObject(name string) error {
	return check("object", name, func(s string) []string {
		if len(s) > validation.DNS1123SubdomainMaxLength {
			return []string{validation.MaxLenError(validation.DNS1123SubdomainMaxLength)}
		}
		return content.IsPathSegmentName(s)
	})
}

func check(what, name string, rule func(string) []string) error {
	if name == "" {
		return fault.New(fault.Invalid, "kube.Check", "The %s has no name. Give one.", what)
	}
	if wrong := rule(name); len(wrong) > 0 {
		return fault.New(fault.Invalid, "kube.Check", "%s is no name of a %s: %s.", quoted(name), what, wrong[0])
	}
	return nil
}

// quoted is a client's text inside a sentence: one short line.
func quoted(s string) string {
	const most = 80
	r := []rune(s)
	if len(r) > most {
		r = append(r[:most], '…')
	}
	for i, c := range r {
		if unicode.In(c, unicode.C, unicode.Zl, unicode.Zp) {
			r[i] = '�'
		}
	}
	return "“" + string(r) + "”"
}

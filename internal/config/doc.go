package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/periscope-console/periscope/internal/config/agentconfig"
)

// Markdown is docs/configuration.md. It is made from the tables that Load
// reads by, so it cannot say anything else than what happens.
func Markdown() string {
	var b strings.Builder
	b.WriteString(intro)
	variables(&b)
	b.WriteString(authIntro)
	keys(&b, "", reflect.TypeFor[authFile]())
	b.WriteString(clustersIntro)
	keys(&b, "clusters[].", reflect.TypeFor[clusterFile]())
	b.WriteString(agentIntro)
	for _, s := range agentconfig.Settings() {
		row(&b, s.Env, s.Flag, s.Default, s.Unit, s.Meaning)
	}
	b.WriteString(laterIntro)
	for _, name := range later {
		fmt.Fprintf(&b, "- `%s`\n", name)
	}
	return b.String()
}

const intro = `# Configuration

<!-- Made from internal/config by: go test ./internal/config -run Markdown -update -->

` + "`periscope serve`" + ` starts in one of two ways and in no other, so that no server runs without a login unless somebody wrote ` + "`mode: dev`" + `:

- ` + "`periscope serve --kubeconfig FILE [--context NAME]`" + `: a console of your own for one cluster. It prints an address with
  a one-time code, listens on this machine alone, and acts with the rights of the kubeconfig (mode ` + "`shared`" + `). A login
  lasts 12 hours, also while its tab is hidden. Where the last one has ended, opening the page has a new code printed; if its
  browser is gone while it lasts, start it again.
- ` + "`periscope serve --auth auth.yaml --clusters clusters.yaml`" + `: a server with its two files.

Several servers on one PostgreSQL share logins, tokens and agents' certificates. A shell belongs to the server that opened
it, and so do the limits of shells and of tries to log in, the page of sessions, and the link of an agent: route each
browser to the same server (a sticky cookie), or coming back to a shell opens a new one.

Every mistake is reported at once, with its file and line, and the server does not start. A value that cannot be used
never turns into a default; the one exception is a number in a cluster's ` + "`exec`" + ` block that is not positive: it is
ignored with a warning. Where a variable is an address of the kind that may hold a password, what is wrong with it is
said without it. An empty variable counts as not set. A flag goes before its variable.

What the settings of shells do, and which to change when something is wrong with one: [pod-exec.md](pod-exec.md).
What access tokens are and do: [tokens.md](tokens.md). Clusters that dial out: [agent-onboarding.md](agent-onboarding.md).

## Environment variables

| variable | flag | default | unit | meaning |
|---|---|---|---|---|
`

const authIntro = `
Variables that Kubernetes sets for a Service named periscope (` + "`PERISCOPE_PORT=tcp://…`, `PERISCOPE_SERVICE_HOST`" + `) are passed
over. Another ` + "`PERISCOPE_…`" + ` variable that is not listed here gives a warning.

## auth.yaml

Named by ` + "`PERISCOPE_AUTH_FILE`" + `. An unknown key is a mistake.

| key | type | default | meaning |
|---|---|---|---|
`

const clustersIntro = `
A user or group that begins with ` + "`system:`" + ` once prefixed is refused, and so are the groups ` + "`periscope-tier:…`" + ` and
` + "`periscope-bridge`" + ` in mode raw.

## clusters.yaml

Named by ` + "`PERISCOPE_CLUSTERS_FILE`" + `. An unknown key is a mistake.

| key | type | default | meaning |
|---|---|---|---|
`

const agentIntro = `
## The agent

` + "`periscope-agent`" + ` has no file of its own: a pod gives it these. ` + "`--kubeconfig FILE [--context NAME]`" + ` serves another cluster than the
one around it. What it does, and how a cluster is added: [agent-onboarding.md](agent-onboarding.md).

| variable | flag | default | unit | meaning |
|---|---|---|---|---|
`

const laterIntro = `
## Not supported by this version

These variables. Setting one keeps the server from starting:

`

func variables(b *strings.Builder) {
	for _, s := range settings {
		row(b, s.Env, s.Flag, s.Default, s.Unit, s.Meaning)
	}
}

func row(b *strings.Builder, env, flag, byDefault, unit, meaning string) {
	if flag != "" {
		flag = "`--" + flag + "`"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", env, flag, code(byDefault), unit, strings.ReplaceAll(meaning, "`", ""))
}

// keys lists a file's keys, those of its blocks with their path.
func keys(b *strings.Builder, path string, t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		key, doc := field.Tag.Get("yaml"), field.Tag.Get("doc")
		switch {
		case key == "":
		case field.Type.Kind() == reflect.Struct:
			keys(b, path+key+".", field.Type)
		default:
			fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", path, key, kind(field.Type), code(field.Tag.Get("default")), doc)
		}
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "map"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	case reflect.Int64:
		return "time"
	}
	return "text"
}

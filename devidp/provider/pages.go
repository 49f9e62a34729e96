package provider

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
)

const style = `:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:10vh auto;padding:0 1rem}
button{display:block;width:100%;margin:.5rem 0;padding:.75rem 1rem;font:inherit;text-align:left;cursor:pointer;
border:1px solid #8888;border-radius:.5rem;background:#8881;color:inherit}
button:hover{background:#8883}button:focus-visible{outline:3px solid #36c}
label{display:block;margin:1rem 0 .25rem;font-weight:600}
select,input{display:block;box-sizing:border-box;width:100%;padding:.75rem 1rem;font:inherit;border:1px solid #8888;border-radius:.5rem;
background:Canvas;color:CanvasText}
select:focus-visible,input:focus-visible{outline:3px solid #36c}
button.main{margin-top:1.5rem;text-align:center;font-weight:600;border-color:#25c;background:#25c;color:#fff}button.main:hover{background:#14a}
small{display:block;opacity:.75;overflow-wrap:anywhere}.problem{border-left:4px solid #c33;padding-left:.75rem}
`

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Title}}</title><link rel="stylesheet" href="/style.css">
<main><h1>{{.Title}}</h1>
{{with .Problem}}<p class="problem" role="alert">{{.}}</p>{{end}}
{{with .Text}}<p>{{.}}</p>{{end}}
{{if .Action}}<form method="post" action="{{.Action}}">
{{range $i, $u := .Users}}<button name="sub" value="{{$u.Sub}}"{{if not $i}} autofocus{{end}}>{{or $u.Name $u.Sub}}
<small>{{or $u.Email $u.Sub}} · {{range $j, $g := $u.Shown}}{{if $j}}, {{end}}{{$g}}{{else}}no groups{{end}}</small></button>
{{end}}{{with .Button}}<button autofocus>{{.}}</button>{{end}}</form>{{end}}
{{if .Asked}}<form method="post" action="{{.Action}}">
<label for="sub">User</label><select id="sub" name="sub">
{{range .Asked}}<option value="{{.Sub}}"{{if eq .Sub $.Chosen}} selected{{end}}>{{or .Name .Sub}} ({{range $j, $g := .Shown}}{{if $j}}, {{end}}{{$g}}{{else}}no groups{{end}})</option>
{{end}}</select>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<button class="main">Log in</button></form>{{end}}
</main></html>
`))

type pageData struct {
	Title, Problem, Text, Action, Button string
	Users                                []User // each has a button
	Asked                                []User // are asked for their passwords
	Chosen                               string // the one of them who tried
}

// Shown are groups for a button: the first few.
func (u User) Shown() []string {
	const few = 10
	if len(u.Groups) <= few {
		return u.Groups
	}
	return append(slices.Clone(u.Groups[:few]), "…")
}

func show(w http.ResponseWriter, status int, d pageData) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = page.Execute(w, d) // fails only where the client has gone
}

func showMessage(w http.ResponseWriter, status int, problem string) {
	show(w, status, pageData{Title: "Periscope's demo login", Problem: problem})
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write([]byte(style))
}

func (p *Provider) home(w http.ResponseWriter, _ *http.Request) {
	show(w, http.StatusOK, pageData{Title: "Periscope's demo login", Text: "An OpenID provider for demo and tests. It keeps no secrets."})
}

// showLogin has one button for each user; who is hinted at comes first.
func (p *Provider) showLogin(w http.ResponseWriter, r *http.Request, status int, problem string) {
	hint := r.URL.Query().Get("login_hint")
	users := slices.DeleteFunc(p.users.list(), func(u User) bool { return u.Disabled })
	hinted := func(u User) bool { return hint != "" && (u.Sub == hint || strings.EqualFold(u.Email, hint)) }
	slices.SortStableFunc(users, func(a, b User) int {
		switch {
		case hinted(a) == hinted(b):
			return 0
		case hinted(a):
			return -1
		}
		return 1
	})
	d := pageData{
		Title: "Log in as", Problem: problem, Text: "For demo and tests: there are no passwords.",
		Action: "/authorize?" + r.URL.RawQuery, Chosen: r.PostForm.Get("sub"),
	}
	for _, u := range users {
		if u.Password == "" {
			d.Users = append(d.Users, u)
		} else {
			d.Asked = append(d.Asked, u)
		}
	}
	if len(d.Asked) > 0 {
		d.Title, d.Text = "Log in", "This login is for trying Periscope out. The demo has printed the passwords."
	}
	show(w, status, d)
}

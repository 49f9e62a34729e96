package provider

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

const (
	maxUsersFile = 8 << 20 // bytes; a test may give somebody a megabyte of groups
	maxUsers     = 1000
	maxPassword  = 256 // bytes
)

// User is somebody who can log in.
type User struct {
	Sub           string   `yaml:"sub" json:"sub"`
	Email         string   `yaml:"email" json:"email,omitempty"`
	EmailVerified bool     `yaml:"emailVerified" json:"emailVerified,omitempty"`
	Name          string   `yaml:"name" json:"name,omitempty"`
	Groups        []string `yaml:"groups" json:"groups,omitempty"`
	// Password is asked for where there is one.
	Password string `yaml:"password" json:"password,omitempty"`
	// Claims are put over all others, also those of the protocol; null takes
	// a claim away.
	Claims map[string]any `yaml:"claims" json:"claims,omitempty"`
	// UserInfo are put over the answer of /userinfo alone.
	UserInfo map[string]any `yaml:"userinfo" json:"userinfo,omitempty"`
	// Disabled users neither log in nor refresh.
	Disabled bool `yaml:"disabled" json:"disabled,omitempty"`
}

// ReadUsers reads a list of users, YAML or JSON. An unknown key is an error.
func ReadUsers(path string) ([]User, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the file of users cannot be read: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxUsersFile+1))
	if err != nil {
		return nil, fmt.Errorf("the file of users cannot be read: %w", err)
	}
	users, err := parseUsers(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return users, nil
}

func parseUsers(b []byte) ([]User, error) {
	if len(b) > maxUsersFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxUsersFile)
	}
	var users []User
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	err := decoder.Decode(&users)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty; write a list of users, such as \"- sub: alice\"")
	case err != nil:
		return nil, errors.New(strings.Join(strings.Fields(err.Error()), " ")) // one line
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document; write one list of users")
	}
	_, err = newDirectory(users)
	return users, err
}

// directory is the users by subject, in the order of the file.
type directory struct {
	mu    sync.Mutex
	order []string
	users map[string]User
}

func newDirectory(users []User) (*directory, error) {
	d := &directory{users: map[string]User{}}
	if len(users) == 0 || len(users) > maxUsers {
		return nil, fmt.Errorf("there must be between 1 and %d users", maxUsers)
	}
	for i, u := range users {
		if strings.TrimSpace(u.Sub) == "" {
			return nil, fmt.Errorf("user %d has no sub", i+1)
		}
		if _, twice := d.users[u.Sub]; twice {
			return nil, fmt.Errorf("the sub %q stands there twice", u.Sub)
		}
		if len(u.Password) > maxPassword {
			return nil, fmt.Errorf("the password of user %d is longer than %d bytes", i+1, maxPassword)
		}
		d.users[u.Sub], d.order = u, append(d.order, u.Sub)
	}
	return d, nil
}

// active is the user of this subject, unless unknown or disabled.
func (d *directory) active(sub string) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.users[sub]
	return u, ok && !u.Disabled
}

func (d *directory) list() []User {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]User, 0, len(d.order))
	for _, sub := range d.order {
		all = append(all, d.users[sub])
	}
	return all
}

var errNoUser = errors.New("there is no such user")

// change replaces what the change names.
func (d *directory) change(c userChange) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.users[c.Sub]
	if !ok {
		return errNoUser
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
	if c.Groups != nil {
		u.Groups = *c.Groups
	}
	if c.Claims != nil {
		u.Claims = *c.Claims
	}
	if c.UserInfo != nil {
		u.UserInfo = *c.UserInfo
	}
	d.users[c.Sub] = u
	return nil
}

// claimsOf puts what is known of the user over the claims of the protocol.
func (u User) claimsOf(claims map[string]any) {
	claims["email_verified"] = u.EmailVerified
	if u.Email != "" {
		claims["email"] = u.Email
	}
	if u.Name != "" {
		claims["name"] = u.Name
	}
	if u.Groups != nil {
		claims["groups"] = u.Groups
	}
	overlay(claims, u.Claims)
}

// overlay copies; null takes a claim away.
func overlay(claims, over map[string]any) {
	maps.Copy(claims, over)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// credentials are what periscope login has got, in a file that its owner alone
// may read.
type credentials struct {
	// Current is the server of the last login.
	Current string             `json:"current"`
	Servers map[string]account `json:"servers"`
}

// account is a login at one server.
type account struct {
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Subject string    `json:"subject"`
	Expires time.Time `json:"expires,omitzero"`
	CAFile  string    `json:"caFile,omitempty"`
}

// String keeps a token out of whatever prints an account.
func (a account) String() string { return a.Subject + " by token " + a.ID }

// GoString is for %#v.
func (a account) GoString() string { return a.String() }

func (e Env) credentialsFile() (string, error) {
	dir, err := e.configDir()
	return filepath.Join(dir, "credentials.json"), err
}

// credentials are empty where nobody has logged in.
func (e Env) credentials() (credentials, error) {
	name, err := e.credentialsFile()
	if err != nil {
		return credentials{}, err
	}
	err = ownersAlone(name)
	if errors.Is(err, fs.ErrNotExist) {
		return credentials{}, nil
	}
	if err != nil {
		return credentials{}, err
	}
	text, err := readFile(name)
	if err != nil {
		return credentials{}, err
	}
	var c credentials
	if err := json.Unmarshal(text, &c); err != nil {
		// The cause might quote the file.
		return credentials{}, fmt.Errorf("the file of logins, %s, is damaged. Delete it and log in again", name)
	}
	return c, nil
}

// change has f change the logins and keeps them, while no other command of this user
// does: of two that end at once, the second would forget what the first has got. Where
// f says that nothing has changed, nothing is written.
func (e Env) change(f func(*credentials) bool) error {
	name, err := e.credentialsFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // read only; it lets go of the lock
	// A few file systems have no locks, and there are logins to be kept all the same.
	_ = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX)
	c, err := e.credentials()
	if err != nil || !f(&c) {
		return err
	}
	return e.keep(c)
}

// keep writes the file anew, whole or not at all.
func (e Env) keep(c credentials) error {
	name, err := e.credentialsFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), "credentials-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it has another name by then
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// ownersAlone is nil for a file of ours that nobody else may read or write.
func ownersAlone(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", name)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may read or write %s (mode %04o), which holds a token. Revoke the token if somebody may have; then: chmod 600 %s", name, info.Mode().Perm(), name)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to somebody else, so it is not read", name)
	}
	return nil
}

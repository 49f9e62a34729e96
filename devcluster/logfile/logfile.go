// Package logfile is a bounded log file: when it is full it becomes NAME.1,
// replacing the one before, and a new one begins. Safe for concurrent use.
package logfile

import (
	"os"
	"sync"
)

// maxSize in bytes; a log and its predecessor together take twice this.
const maxSize = 16 << 20

// File is an io.WriteCloser.
type File struct {
	path string

	mu   sync.Mutex // guards what follows
	f    *os.File
	size int64
}

// Open appends to the file at path.
func Open(path string) (*File, error) {
	l := &File{path: path}
	return l, l.open(os.O_APPEND)
}

func (l *File) open(flag int) error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|flag, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write never splits p over two files.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(p)) > maxSize && l.size > 0 {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *File) rotate() error {
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return err
	}
	l.f.Close()
	return l.open(os.O_TRUNC)
}

// Close ends the log; later writes fail.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

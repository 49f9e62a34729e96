package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// A log keeps its newest segments: 40 MiB at most.
	segmentSize = 10 << 20
	segmentKeep = 4
	// maxLogLine splits longer lines, as container runtimes do.
	maxLogLine = 16 << 10
	// logTime is RFC 3339 with all nine digits, so that lines sort.
	logTime = "2006-01-02T15:04:05.000000000Z07:00"
)

// containerLog is what a container has printed, one line "TIME STREAM FLAG TEXT"
// each, where flag F ends a line and P means that the line goes on. One writer
// per stream, any number of readers.
type containerLog struct {
	dir  string
	lost func(error) // told once, when output is lost
	once sync.Once   // of lost

	mu      sync.Mutex // guards what follows
	f       *os.File
	first   int // oldest segment kept
	last    int // segment being written
	size    int64
	closed  bool
	changed chan struct{} // closed and replaced at every change
}

func newContainerLog(dir string, lost func(error)) (*containerLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &containerLog{dir: dir, lost: lost, first: 1, last: 1, changed: make(chan struct{})}
	var err error
	l.f, err = os.OpenFile(l.segment(1), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	return l, err
}

// openContainerLog is the log of a run that has ended, perhaps with an earlier
// life of the node.
func openContainerLog(dir string) (*containerLog, error) {
	segments, err := numbered(dir, ".log")
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("no log in %s", dir)
	}
	return &containerLog{dir: dir, first: segments[0], last: segments[len(segments)-1], closed: true}, nil
}

// numbered answers the numbers that name what is in a folder, in order.
func numbered(dir, suffix string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.Atoi(name); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (l *containerLog) segment(n int) string { return filepath.Join(l.dir, fmt.Sprintf("%06d.log", n)) }

// append writes whole entries.
func (l *containerLog) append(entries []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(entries)) > segmentSize {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	n, err := l.f.Write(entries)
	l.size += int64(n)
	l.wake()
	return err
}

func (l *containerLog) rotate() error {
	f, err := os.OpenFile(l.segment(l.last+1), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	l.f.Close()
	l.f, l.size = f, 0
	l.last++
	for l.last-l.first >= segmentKeep {
		os.Remove(l.segment(l.first))
		l.first++
	}
	return nil
}

func (l *containerLog) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// close ends the log: readers that follow come to their end.
func (l *containerLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.f.Close()
		l.wake()
	}
}

// state answers what is there, and what to wait on for more.
func (l *containerLog) state() (first, last int, closed bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.last, l.closed, l.changed
}

// lineWriter turns one stream of a container into entries of its log. What has
// no end of line yet is kept until it has, is too long, or the stream ends.
type lineWriter struct {
	log    *containerLog
	stream string
	rest   []byte
	out    []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	now := time.Now().UTC().Format(logTime)
	w.out = w.out[:0]
	for data := p; len(data) > 0; {
		i := bytes.IndexByte(data, '\n')
		end := i
		if i < 0 {
			end = len(data)
		}
		if room := maxLogLine - len(w.rest); end > room {
			w.entry(now, 'P', data[:room])
			data = data[room:]
			continue
		}
		if i < 0 {
			w.rest = append(w.rest, data...)
			break
		}
		w.entry(now, 'F', data[:i])
		data = data[i+1:]
	}
	if len(w.out) > 0 {
		w.flush()
	}
	return len(p), nil
}

// flush: a full disk must not stop the container; its output is lost instead.
func (w *lineWriter) flush() {
	if err := w.log.append(w.out); err != nil {
		w.log.once.Do(func() { w.log.lost(err) })
	}
}

func (w *lineWriter) entry(now string, flag byte, text []byte) {
	w.out = append(w.out, now...)
	w.out = append(w.out, ' ')
	w.out = append(w.out, w.stream...)
	w.out = append(w.out, ' ', flag, ' ')
	w.out = append(w.out, w.rest...)
	w.out = append(w.out, text...)
	w.out = append(w.out, '\n')
	w.rest = w.rest[:0]
}

// finish writes a last line that has no end.
func (w *lineWriter) finish() {
	if len(w.rest) == 0 {
		return
	}
	w.out = w.out[:0]
	w.entry(time.Now().UTC().Format(logTime), 'P', nil)
	w.flush()
}

// logOptions are those of a log request.
type logOptions struct {
	follow     bool
	timestamps bool
	since      time.Time
	tail       int64 // negative: all
	limit      int64 // bytes; negative: no limit
	stream     string
}

var errLimit = errors.New("limit reached")

// copyTo writes the log as a client reads it.
func (l *containerLog) copyTo(ctx context.Context, out io.Writer, flush func(), o logOptions) error {
	w := &logPrinter{o: o, out: bufio.NewWriterSize(out, 32<<10), lineStart: true}
	first, last, _, _ := l.state()
	segment, offset := first, int64(0)
	if o.tail >= 0 {
		var err error
		if segment, offset, err = l.tailPosition(first, last, o.tail); err != nil {
			return err
		}
	}
	err := l.copySegments(ctx, w, flush, segment, offset)
	if errors.Is(err, errLimit) {
		err = nil
	}
	return errors.Join(err, w.out.Flush())
}

// copySegments goes from one segment to the next, and waits at the end of the
// last one if the reader follows.
func (l *containerLog) copySegments(ctx context.Context, w *logPrinter, flush func(), segment int, offset int64) error {
	for ctx.Err() == nil {
		more, err := l.copySegment(ctx, w, flush, segment, offset)
		if err != nil || !more {
			return err
		}
		segment, offset = segment+1, 0
		if first, _, _, _ := l.state(); segment < first {
			segment = first // too slow: the log has moved on
		}
	}
	return nil
}

func (l *containerLog) copySegment(ctx context.Context, w *logPrinter, flush func(), segment int, offset int64) (more bool, err error) {
	f, err := os.Open(l.segment(segment))
	if errors.Is(err, os.ErrNotExist) {
		_, last, _, _ := l.state()
		return segment < last, nil // rotated away, or the folder is gone
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return false, err
	}
	in := bufio.NewReaderSize(f, 64<<10)
	var partial []byte
	for {
		_, last, closed, changed := l.state()
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				partial = append(partial, line...) // entries are short; at most one is kept
				if errors.Is(err, bufio.ErrBufferFull) {
					continue
				}
				break
			}
			if len(partial) > 0 {
				line = append(partial, line...)
				partial = partial[:0]
			}
			if err := w.print(line); err != nil {
				return false, err
			}
		}
		if segment < last {
			return true, nil
		}
		if closed || !w.o.follow {
			return false, nil
		}
		if err := w.out.Flush(); err != nil {
			return false, err
		}
		flush()
		select {
		case <-changed:
		case <-ctx.Done():
			return false, nil
		}
	}
}

// logPrinter turns entries into what the client sees.
type logPrinter struct {
	o         logOptions
	out       *bufio.Writer
	lineStart bool // the entry before ended its line
}

func (w *logPrinter) print(entry []byte) error {
	e, ok := parseEntry(entry)
	if !ok || (w.o.stream != "" && e.stream != w.o.stream) {
		return nil
	}
	if !w.o.since.IsZero() {
		if at, err := time.Parse(logTime, e.time); err == nil && at.Before(w.o.since) {
			return nil
		}
	}
	if w.o.timestamps && w.lineStart {
		if err := w.write([]byte(e.time + " ")); err != nil {
			return err
		}
	}
	if err := w.write(e.text); err != nil {
		return err
	}
	w.lineStart = !e.partial
	if e.partial {
		return nil
	}
	return w.write([]byte{'\n'})
}

func (w *logPrinter) write(p []byte) error {
	if w.o.limit < 0 {
		_, err := w.out.Write(p)
		return err
	}
	n := min(int64(len(p)), w.o.limit)
	w.o.limit -= n
	if _, err := w.out.Write(p[:n]); err != nil {
		return err
	}
	if n < int64(len(p)) || w.o.limit == 0 {
		return errLimit
	}
	return nil
}

// logEntry is one line of a log file.
type logEntry struct {
	time    string
	stream  string
	partial bool
	text    []byte
}

func parseEntry(line []byte) (logEntry, bool) {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	at, rest, ok1 := bytes.Cut(line, []byte{' '})
	stream, rest, ok2 := bytes.Cut(rest, []byte{' '})
	flag, text, ok3 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || !ok3 {
		return logEntry{}, false
	}
	return logEntry{time: string(at), stream: string(stream), partial: bytes.Equal(flag, []byte{'P'}), text: text}, true
}

// tailPosition finds where the last n lines begin, reading backwards.
func (l *containerLog) tailPosition(first, last int, n int64) (int, int64, error) {
	for segment := last; ; segment-- {
		offset, found, err := tailOffset(l.segment(segment), n)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, 0, err
		}
		if found >= n || segment <= first {
			return segment, offset, nil
		}
		n -= found
	}
}

// tailOffset answers where the last n entries of a file begin and how many
// there are, at most n.
func tailOffset(path string, n int64) (offset, found int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	buf := make([]byte, 64<<10)
	end := info.Size()
	if n == 0 {
		return end, 0, nil
	}
	newlines := int64(0)
	for end > 0 {
		begin := max(0, end-int64(len(buf)))
		chunk := buf[:end-begin]
		if _, err := f.ReadAt(chunk, begin); err != nil {
			return 0, 0, err
		}
		for i := len(chunk) - 1; i >= 0; i-- {
			if chunk[i] != '\n' {
				continue
			}
			if newlines == n {
				return begin + int64(i) + 1, n, nil
			}
			newlines++
		}
		end = begin
	}
	return 0, newlines, nil
}

package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/periscope-console/periscope/internal/config/setting"
)

// decoder fills structs from one YAML document and gathers what is wrong with
// it. Libraries stop at the first mistake or pass unknown keys over; whoever
// mends a file wants all of them, with their lines.
//
// A struct's fields carry the tags yaml (the key), default (as it would be
// written; lists with commas) and doc. A field "Line int" without a yaml tag
// gets the line on which the struct begins.
type decoder struct {
	file     string
	mistakes []error
}

// decode reads data into v, a pointer to a struct. It returns false where
// nothing could be read at all, so that looking further into v is no use.
func decode(file string, data []byte, v any) (mistakes []error, readable bool) {
	d := &decoder{file: file}
	body, err := parse(data)
	if err != nil {
		d.syntax(err)
		return d.mistakes, false
	}
	d.value(body, "", reflect.ValueOf(v).Elem())
	return d.mistakes, true
}

// parse finds the one document of a file, nil where it is empty. It turns a
// panic of the parser into an error: a strange file must give a sentence.
func parse(data []byte) (body ast.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, fmt.Errorf("it is no YAML (%v)", p)
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, errors.New("it holds several documents; put all of it into one")
		}
		body = doc.Body
	}
	return body, nil
}

// syntax leaves out the excerpt that the library would print: it may show a
// secret.
func (d *decoder) syntax(err error) {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil {
		d.mistakes = append(d.mistakes, fmt.Errorf("%s:%d: %s", d.file, syntax.Token.Position.Line, oneLine(syntax.Message)))
		return
	}
	d.mistakes = append(d.mistakes, fmt.Errorf("%s: %s", d.file, oneLine(err.Error())))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// at notes a mistake with the line of node.
func (d *decoder) at(node ast.Node, format string, args ...any) {
	d.mistakes = append(d.mistakes, fmt.Errorf("%s:%d: %s", d.file, line(node), fmt.Sprintf(format, args...)))
}

func line(node ast.Node) int {
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 1
	}
	return node.GetToken().Position.Line
}

// value fills v from node; nil and null leave the default. path is the key's,
// for sentences.
func (d *decoder) value(node ast.Node, path string, v reflect.Value) {
	if isNull(node) {
		d.absent(v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(node, path, v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(node, path, v.Elem())
	case reflect.Map:
		d.texts(node, path, v)
	case reflect.Slice:
		d.list(node, path, v)
	default:
		d.scalar(node, path, v)
	}
}

func isNull(node ast.Node) bool {
	if node == nil {
		return true
	}
	_, null := node.(*ast.NullNode)
	return null
}

// absent gives a struct that is not there the defaults of its fields.
func (d *decoder) absent(v reflect.Value) {
	if v.Kind() == reflect.Struct {
		setDefaults(v)
	}
}

func setDefaults(v reflect.Value) {
	for i := range v.NumField() {
		if field := v.Field(i); field.Kind() == reflect.Struct {
			setDefaults(field)
		} else if written := v.Type().Field(i).Tag.Get("default"); written != "" {
			mustSet(field, written)
		}
	}
}

// mustSet takes a default from a tag; a test reads them all.
func mustSet(v reflect.Value, written string) {
	switch v.Type() {
	case reflect.TypeFor[[]string]():
		v.Set(reflect.ValueOf(strings.Split(written, ",")))
		return
	case reflect.TypeFor[string]():
		v.SetString(written)
		return
	}
	body, err := parse([]byte(written))
	d := &decoder{}
	if err == nil {
		d.scalar(body, "default", v)
	}
	if err != nil || len(d.mistakes) > 0 {
		panic(fmt.Sprintf("config: the default %q is wrong: %v %v", written, err, d.mistakes))
	}
}

// pairs are the entries of a mapping, as the parser has one or many.
func pairs(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func (d *decoder) mapping(node ast.Node, path string, v reflect.Value) {
	setDefaults(v)
	if at := v.FieldByName("Line"); at.IsValid() {
		at.SetInt(int64(line(node)))
	}
	entries, ok := pairs(node)
	if !ok {
		d.at(node, "%s must hold keys, each on a line of its own as “key: value”", named(path))
		return
	}
	for _, entry := range entries {
		key := text(entry.Key)
		if field, ok := fieldOf(v, key); ok {
			d.value(entry.Value, join(path, key), field)
			continue
		}
		d.at(entry.Key, "unknown key %q%s%s", key, in(path), setting.Hint(key, keysOf(v.Type())))
	}
}

func text(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.GetToken().Value
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag == key && tag != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" {
			keys = append(keys, tag)
		}
	}
	return keys
}

// texts fills a map of strings.
func (d *decoder) texts(node ast.Node, path string, v reflect.Value) {
	entries, ok := pairs(node)
	if !ok {
		d.at(node, "%s must hold “key: value” pairs", named(path))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, entry := range entries {
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(entry.Value, join(path, text(entry.Key)), value)
		v.SetMapIndex(reflect.ValueOf(text(entry.Key)), value)
	}
}

func (d *decoder) list(node ast.Node, path string, v reflect.Value) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.at(node, "%s must be a list", named(path))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		d.value(item, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
	}
}

func (d *decoder) scalar(node ast.Node, path string, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d.duration(node, path, v)
		return
	}
	switch v.Kind() {
	case reflect.String:
		d.text(node, path, v)
	case reflect.Bool:
		if b, ok := node.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
		} else {
			d.at(node, "%s must be true or false", named(path))
		}
	case reflect.Int:
		if n, ok := number(node); ok {
			v.SetInt(n)
		} else {
			d.at(node, "%s must be a whole number", named(path))
		}
	}
}

func (d *decoder) text(node ast.Node, path string, v reflect.Value) {
	switch n := node.(type) {
	case *ast.StringNode:
		v.SetString(n.Value)
	case *ast.LiteralNode:
		v.SetString(n.Value.Value)
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode:
		d.at(node, "%s must be written out: anchors, aliases and tags are not supported here", named(path))
	default:
		d.at(node, "%s must be text; put it in quotes", named(path))
	}
}

func (d *decoder) duration(node ast.Node, path string, v reflect.Value) {
	s, ok := node.(*ast.StringNode)
	if ok {
		if t, err := time.ParseDuration(s.Value); err == nil {
			v.SetInt(int64(t))
			return
		}
	}
	d.at(node, "%s must be a time with its unit, such as 30m or 12h", named(path))
}

func number(node ast.Node) (int64, bool) {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch i := n.Value.(type) {
	case int64:
		return i, true
	case uint64:
		return int64(i), i < 1<<62
	}
	return 0, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func named(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

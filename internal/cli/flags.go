package cli

import (
	"strings"
)

// flags are a command's, by their names with dashes; a switch or a text is set by
// each. Flags may stand before and after words, short switches in one (-it).
type flags struct {
	switches map[string]*bool
	texts    map[string]*string
}

// parse returns the words before "--", and what follows it untouched.
func (f flags) parse(args []string) (words, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return words, args[i+1:], nil
		case len(arg) < 2 || arg[0] != '-':
			words = append(words, arg)
		default:
			used, err := f.flag(arg, args[i+1:])
			if err != nil {
				return nil, nil, err
			}
			i += used
		}
	}
	return words, nil, nil
}

// flag takes one argument, and says how many of the next it used.
func (f flags) flag(arg string, next []string) (used int, err error) {
	if !strings.HasPrefix(arg, "--") {
		return f.short(arg[1:], next)
	}
	name, value, given := strings.Cut(arg, "=")
	if on := f.switches[name]; on != nil && !given {
		*on = true
		return 0, nil
	}
	text := f.texts[name]
	switch {
	case text == nil:
		return 0, wrongUse("%s is no flag of this command. Try --help.", name)
	case given:
		*text = value
		return 0, nil
	case len(next) == 0:
		return 0, wrongUse("%s needs a value.", name)
	}
	*text = next[0]
	return 1, nil
}

// short takes switches in a row, the last of which may be a text and its value.
func (f flags) short(letters string, next []string) (used int, err error) {
	for i := range len(letters) { // by bytes: no flag of ours has more than one
		name := "-" + letters[i:i+1]
		if on := f.switches[name]; on != nil {
			*on = true
			continue
		}
		text, value := f.texts[name], strings.TrimPrefix(letters[i+1:], "=")
		switch {
		case text == nil:
			return 0, wrongUse("-%s is no flag of this command. Try --help.", letters[i:])
		case value != "":
			*text = value
			return 0, nil
		case len(next) == 0:
			return 0, wrongUse("%s needs a value.", name)
		}
		*text = next[0]
		return 1, nil
	}
	return 0, nil
}

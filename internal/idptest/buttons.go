package idptest

import (
	"html"
	"regexp"
)

var button = regexp.MustCompile(`<button name="sub" value="([^"]*)"`)

// buttons are the subjects that the provider's login page offers.
func buttons(page string) []string {
	var subs []string
	for _, found := range button.FindAllStringSubmatch(page, -1) {
		subs = append(subs, html.UnescapeString(found[1]))
	}
	return subs
}

// Package web holds the built pages. Its one job is to embed web/dist.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Pages are the built files; empty but for .gitkeep where nothing was built.
func Pages() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder is named in the line above
	}
	return files
}

module github.com/periscope-console/periscope

go 1.26

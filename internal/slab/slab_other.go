//go:build !linux || race

package slab

func take(int) []byte { return nil }

func release([]byte) {}

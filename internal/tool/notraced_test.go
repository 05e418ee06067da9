//go:build !race

package tool

const raced = false

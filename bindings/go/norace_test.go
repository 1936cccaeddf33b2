//go:build !race

package keyward_test

const raceDetector = false

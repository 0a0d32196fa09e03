// Package storage measures what buckets hold, by listing them at their backends
// once an hour, and sums up the samples. It does not count requests: that is
// package metering's.
package storage

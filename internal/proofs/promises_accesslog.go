package main

// accessLog are the promises of docs/ACCESS-LOG.md.
var accessLog = []promise{}

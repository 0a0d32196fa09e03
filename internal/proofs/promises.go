package main

import "slices"

// promises are those whose tests are tried against changes: three at least, each
// in another place, each a mistake that somebody could make.
var promises = slices.Concat(metering, ledger, limits, accessLog, invariants, configuration, others, domains)

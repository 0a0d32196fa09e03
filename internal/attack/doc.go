// Command attack starts PrimeCloud as `primecloud dev` runs it, attacks it from
// outside as strangers, tenants and backends would, and prints for each attack
// whether the product held. docs/SECURITY-TESTING.md is written from the same
// table.
//
// An attack is a row of a file here: what it is, how it is made, and a function
// that returns an error with the evidence when the product gave way. It knows the
// product by its sockets, its commands, its files and its database only.
package main

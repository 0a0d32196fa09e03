// Package product runs the whole of PrimeCloud as `primecloud dev` does, for
// commands that try it from outside: `make attack` and `make conformance`. It
// knows the product by its command, its files and what it prints.
package product

package dev

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"github.com/primecloudpro/primecloud/internal/secret"
)

// DefaultDir is where Run keeps its data below the working folder, and where the
// operator's commands look for an installation when nothing is configured.
const DefaultDir = ".primecloud"

func envFile(dir string) string     { return filepath.Join(dir, "dev.env") }
func keyringFile(dir string) string { return filepath.Join(dir, "keyring") }

// OwnerURL returns the URL of the database of an installation in dir as its
// owner, or "" when dir has none that has been ready.
func OwnerURL(dir string) string {
	f, err := os.Open(envFile(dir))
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); { // NAME='value'
		if value, ok := strings.CutPrefix(lines.Text(), "DATABASE_URL="); ok {
			return strings.Trim(value, "'")
		}
	}
	return ""
}

// Keyring returns the keyring of an installation in dir.
func Keyring(dir string) (*secret.Keyring, error) { return secret.ReadFile(keyringFile(dir)) }

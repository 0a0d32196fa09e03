package keyring

import (
	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/secret"
)

// File is the name of a keyring's file.
type File string

// Read reads the keyring.
func (f File) Read() (*secret.Keyring, error) { return secret.ReadFile(string(f)) }

// Create makes the file, which must not be there.
func (f File) Create(k *secret.Keyring) error { return f.put(k, disk.CreateFile) }

// write replaces the file, whole or not at all.
func (f File) write(k *secret.Keyring) error { return f.put(k, disk.WriteFile) }

func (f File) put(k *secret.Keyring, write func(string, []byte) error) error {
	text, err := k.Marshal()
	if err != nil {
		return err
	}
	return write(string(f), text)
}

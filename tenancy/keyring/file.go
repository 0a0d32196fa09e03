package keyring

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/primecloudpro/primecloud/internal/disk"
	"github.com/primecloudpro/primecloud/internal/finding"
	"github.com/primecloudpro/primecloud/internal/secret"
)

// File is the name of a keyring's file.
type File string

// Read reads the keyring.
func (f File) Read() (*secret.Keyring, error) {
	k, err := secret.ReadFile(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, finding.Worded(err, fmt.Sprintf("there is no keyring file %q; name one that is there, or make it with `primecloud secret generate`", string(f)))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	return k, nil
}

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

package pg

import "context"

// MigrateTo is Migrate as a program of before did it.
func MigrateTo(ctx context.Context, url string, version int64) error {
	if err := migrateRiver(ctx, url); err != nil {
		return err
	}
	p, db, err := provider(url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = p.UpTo(ctx, version)
	return err
}

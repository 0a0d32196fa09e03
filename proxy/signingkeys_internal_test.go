package proxy

import (
	"testing"

	"github.com/primecloudpro/primecloud/tenancy"
)

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	var c signingKeys
	day, region := []byte("20260102"), []byte("us-east-1")
	first := &tenancy.Identity{ID: tenancy.ID{15: 7}, Secret: "the first secret"}
	key := c.get(first, day, region)
	if c.get(first, day, region) != key {
		t.Error("the key of the same identity, day and region was derived again")
	}
	if c.get(first, []byte("20260103"), region) == key || c.get(first, day, []byte("eu-west-1")) == key {
		t.Error("the key of another day or region is the same")
	}
	c.get(first, day, region)
	for name, other := range map[string]*tenancy.Identity{
		"the same access key with another secret": {ID: first.ID, Secret: "the second secret"},
		"another access key of the same slot":     {ID: tenancy.ID{0: 1, 15: 7}, Secret: "another secret"},
	} {
		if c.get(other, day, region) == c.get(first, day, region) {
			t.Errorf("%s is verified with the first one's key", name)
		}
	}
}

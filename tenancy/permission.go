package tenancy

import (
	"fmt"
	"strings"
)

// Permission is a set of rights of an access key.
type Permission uint8

// The rights. BypassGovernance is never given by default.
const (
	Read Permission = 1 << iota
	Write
	Delete
	List
	Manage
	BypassGovernance

	AllPermissions = Read | Write | Delete | List | Manage
)

var permissionNames = [...]string{"read", "write", "delete", "list", "manage", "bypass-governance"}

// ParsePermissions reads a comma-separated list; "all" and "" are AllPermissions.
func ParsePermissions(s string) (Permission, error) {
	if s == "" || s == "all" {
		return AllPermissions, nil
	}
	return permissionsOf(strings.Split(s, ","))
}

func permissionsOf(names []string) (Permission, error) {
	var p Permission
next:
	for _, name := range names {
		for i, known := range permissionNames {
			if strings.TrimSpace(name) == known {
				p |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("tenancy: there is no permission %q; write all, or one or more of %s", name, strings.Join(permissionNames[:], ", "))
	}
	return p, nil
}

// Names lists the rights.
func (p Permission) Names() []string {
	names := []string{}
	for i, name := range permissionNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (p Permission) String() string { return strings.Join(p.Names(), ",") }

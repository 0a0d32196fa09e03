package finding

import (
	"fmt"
	"strings"
)

// Some is a list as a sentence has it: the first of so many, and how many more there are.
func Some(list []string, most int) string {
	if n := len(list) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), n)
	}
	return strings.Join(list, ", ")
}

package settings

import (
	"fmt"
	"strings"
)

// Page writes the tables of docs/CONFIGURATION.md: one for each section.
func Page(list []Setting) string {
	var b strings.Builder
	section := "?"
	for i := range list {
		s := &list[i]
		if s.Section != section {
			section = s.Section
			title := "[" + section + "]"
			if section == "" {
				title = "Before the first section"
			}
			fmt.Fprintf(&b, "\n### %s\n\n| Key | Variable | Flag | Default | |\n|---|---|---|---|---|\n", title)
		}
		flag, variable := "`--"+s.Flag+"`", "`"+s.Variable+"`"
		if s.Secret {
			flag, variable = "–", variable+", `"+s.Variable+"_FILE`"
		}
		def := "–"
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Key, variable, flag, def, strings.ReplaceAll(s.Help, "|", `\|`))
	}
	return b.String()
}

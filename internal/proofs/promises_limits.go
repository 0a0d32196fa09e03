package main

// limits are the promises of docs/LIMITS.md.
var limits = []promise{
	{
		"LIMITS.md", "Budgets across nodes",
		"what a silent node holds of a budget counts as used until its readings are final, and then as much as they say",
		"./limits", "TestBudget_deadNode",
		[]change{
			{"limits/store.go", "r.budget == q.budget && s.present(r) {", "r.budget == q.budget && s.present(r) && (r.live || r.final) {"},
			{"limits/store.go", "return max(r.granted, r.ledger)", "return r.ledger"},
			{"limits/store.go", "\tcase r.final:\n\t\treturn r.ledger\n\t}\n\treturn max(r.granted", "\t}\n\treturn max(r.granted"},
		},
	},
}

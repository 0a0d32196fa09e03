package flatnames

// Most is how many names are remembered at most.
const Most = shards * shardNames

// Len is how many names are in the table.
func (t *Table) Len() (n int) {
	for i := range t.shards {
		n += len(t.shards[i].names)
	}
	return n
}

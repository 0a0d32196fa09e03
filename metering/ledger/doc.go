// Package ledger is usage in PostgreSQL, for the bill. Nodes write readings:
// cumulative totals of series, like a utility meter's, under the epoch of the
// journal that they come from. A worker seals each hour when all nodes have
// written it; what comes later is an adjustment. Sums, figures by epoch and the
// verification of seals read it.
//
// Account ids, bucket ids and key ids are all that it knows of tenants.
package ledger

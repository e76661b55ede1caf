"""Many methods on one recipe's data, in one table."""

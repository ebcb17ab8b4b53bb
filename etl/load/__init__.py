"""Writes the warehouse: models, staging, the set-based merge and the ledger."""

"""Keeps a SQL warehouse in step with restore points of backup appliances, and keeps their history."""

__version__ = "0.1.0"

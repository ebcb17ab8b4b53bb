"""Turns raw items into typed frames and rejected records; pure functions, no I/O, no clock."""

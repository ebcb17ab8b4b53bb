"""Reads the warehouse; never writes it."""

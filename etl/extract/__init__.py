"""Reads an appliance: signs in, asks for pages, hands out raw items."""

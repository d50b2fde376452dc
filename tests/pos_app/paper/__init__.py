"""Receipts as values, rows and dots; the printing thread."""

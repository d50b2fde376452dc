"""Decisions: time is an argument, nothing is read or written. Pure. DESIGN §5, §9."""

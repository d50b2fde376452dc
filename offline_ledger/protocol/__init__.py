"""Bytes to values and back, nothing else; `wire.cddl` is normative. Pure. DESIGN §4."""

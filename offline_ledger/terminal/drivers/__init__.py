"""Drivers of real devices: scanner, camera. DESIGN §3."""

"""Drivers of the counter's own devices. DESIGN §3."""

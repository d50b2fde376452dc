"""Cashier terminal: one sale after another, by key and by code, with or without a network. DESIGN §3."""

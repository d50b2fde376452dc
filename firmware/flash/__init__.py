"""The technician's bench: flash, provision, test, label, record, release. DESIGN §3.

Runs on a technician's laptop, under `kgo-flash`. Never ships a MicroPython of its own, never sees a device's key.
"""

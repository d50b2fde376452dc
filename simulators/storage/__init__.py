"""Disks that fail, fill up and lose power; and rows to fill journals with. For tests and benchmarks. DESIGN §6, §11."""

"""Disks that misbehave: failing, full, and cut off from power; and rows to fill them. For tests and demonstrations. DESIGN §6, §11."""

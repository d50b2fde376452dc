"""Disks that misbehave: slow, failing, full, and cut off from power. For tests and demonstrations. DESIGN §6, §11."""

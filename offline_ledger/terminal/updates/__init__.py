"""Updates of a terminal: which slot runs, what goes into the other one, and how they change places. DESIGN §3, §6."""

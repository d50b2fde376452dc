"""The self-test of a terminal: what is tried part by part, who judges it, and the report of it. DESIGN §6, §11."""

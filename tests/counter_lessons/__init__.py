"""The lessons of other tills (FIELD_LESSONS 1–20), each a test by name against real programs and devices."""

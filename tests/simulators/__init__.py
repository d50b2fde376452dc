"""Tests of the simulated parts: they behave, and misbehave, like the real ones. DESIGN §11."""

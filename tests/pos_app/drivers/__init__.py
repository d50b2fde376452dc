"""Tests of the counter's own drivers, on ptys. DESIGN §11."""

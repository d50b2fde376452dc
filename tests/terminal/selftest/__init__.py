"""Tests of the self-test: every part whole, and every part broken in turn."""

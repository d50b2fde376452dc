"""Tests of the bus validator."""

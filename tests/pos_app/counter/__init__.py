"""Tests of the counter: pure rules in tables."""

"""Tests of the desk behind the page."""

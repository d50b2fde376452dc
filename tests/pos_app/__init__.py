"""Tests of the cashier terminal."""

"""Tests of the city's service: settings, keys, trust, HTTP, command line. DESIGN §3, §4, §7, §8."""

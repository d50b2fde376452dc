"""Tests mirror the packages; `bench/` holds the benchmarks. Not in the wheel. DESIGN §3, §11."""

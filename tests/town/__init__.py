"""Tests of a whole town in one process: real terminals, real wallets and the real city, joined by their ports."""

"""Tests of the ledger: real keys made for tests, real store."""

"""Tests of the drivers, on ptys, streams and pictures. DESIGN §11."""

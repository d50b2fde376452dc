"""The demo: a town on one desk, told as a story and checked by an independent reader. DESIGN §3."""

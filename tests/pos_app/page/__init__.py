"""The cashier's page against a desk in memory: served over real sockets, looked at in a real browser."""

"""The wallet page: served, in a real browser, before a real till and a real city."""

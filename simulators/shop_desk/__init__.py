"""The cashier's till on the desk: the real `kgo-pos` with its page, and hands that press its keys. DESIGN §11."""

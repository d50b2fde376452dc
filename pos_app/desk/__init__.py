"""The desk behind the cashier's page: it has each action done, in its order, and tells the screens. DESIGN §3."""

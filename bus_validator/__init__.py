"""Bus validator: one boarding after another, with or without a network. DESIGN §3."""

"""The first boot of a terminal: run by the Raspberry Pi's own Python, as root, from the card. Decision 0225."""

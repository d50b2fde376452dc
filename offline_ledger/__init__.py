"""KGO acceptance, the heart: what a terminal and the city share. DESIGN §3."""

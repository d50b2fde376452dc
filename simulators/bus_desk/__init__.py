"""The bus on a desk: a real validator with all its simulated devices, a page to play with it, scenarios. DESIGN §11."""

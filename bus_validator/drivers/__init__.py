"""Devices of the bus: what is drawn, heard and located. Only a composition root builds them. DESIGN §3."""

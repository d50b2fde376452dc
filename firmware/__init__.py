"""What runs on the reader head, and the format of the cable to it. DESIGN §3."""

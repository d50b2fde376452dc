"""A wallet as a web page for a phone, and the small server that brings it there. DESIGN §2, §4, §11."""

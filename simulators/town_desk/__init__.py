"""The town on the desk: one city with a shop, a bus and phones, and a page for the whole of it. DESIGN §11."""

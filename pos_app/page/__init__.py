"""The cashier's page and the customer's display: views of one desk, in a browser on the same machine. DESIGN §3."""

"""The cashier's desk: baskets, tenders, shifts and who may do what. Never draws, stores or signs. DESIGN §3."""

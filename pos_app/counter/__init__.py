"""The cashier's desk: baskets, tenders, shifts and who may do what. Decides; never draws, stores or signs. DESIGN §3."""

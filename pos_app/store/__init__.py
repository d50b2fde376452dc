"""What a shop keeps beside the journal, in one file: goods, cashiers, baskets, prints to come, the audit log. DESIGN §3."""

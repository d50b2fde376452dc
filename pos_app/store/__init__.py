"""What a shop keeps beside the journal, in one file: goods, cashiers, baskets, prints, the audit log. DESIGN §3."""

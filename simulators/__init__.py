"""Everything that a desk without hardware needs: wallets, readers, pictures, faults, a demo. DESIGN §3, §11."""

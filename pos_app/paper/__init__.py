"""What a till prints: receipts as values, as laid-out rows, as dots, and the thread that brings them onto paper."""

"""What a shop keeps beside the journal, against real files, full disks and cut power. DESIGN §6."""

"""Features kept for others: what is true now by key (online), and what was known when (offline)."""

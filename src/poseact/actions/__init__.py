"""Actions of one's own: from clips to features, trained heads, and answers over time."""

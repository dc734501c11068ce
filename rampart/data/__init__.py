"""From raw mail, or any table of texts, to clean, de-duplicated and split messages."""

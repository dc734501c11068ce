"""Messages as events: what they hold, how they travel, and what scores them as they come."""

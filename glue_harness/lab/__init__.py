"""From a plan to a record."""

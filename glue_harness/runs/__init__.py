"""Results on disk, without torch."""

"""The nouns, settings, errors, and reading and writing files safely."""

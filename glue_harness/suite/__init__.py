"""Declaring benchmarks: builders, the registry, official formats, T5's rules for pronouns and spans."""

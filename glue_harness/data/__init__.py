"""Rows for a task, from the Hub, from a folder or from the demo generator, checked before use."""

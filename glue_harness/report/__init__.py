"""Reading results: boards, comparisons, curves, formats."""

"""`python -m glue_harness` is `glue`."""

from glue_harness.cli import main

main()

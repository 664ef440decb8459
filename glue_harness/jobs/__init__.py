"""Several runs as jobs: what each starts from, where they are carried out, and what came of them."""

from __future__ import annotations

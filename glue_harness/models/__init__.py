"""Model families behind one interface, their vocabularies, and packed batches."""

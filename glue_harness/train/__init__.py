"""The loop and what it needs: feed, passes, memory, devices, optimisers, answers, checkpoints."""

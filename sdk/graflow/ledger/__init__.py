"""What the operations of a run's channel mean (C2): pure, the same for every host."""

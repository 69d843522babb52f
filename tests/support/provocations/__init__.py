"""Every way in which tests bring a fault about; importing a module registers what is in it."""

"""Where questions of runs on this machine are kept; see `base`, `filesystem` and `redis`."""

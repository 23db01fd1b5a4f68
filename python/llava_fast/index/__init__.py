"""`llava-fast index DATA`: all of a data set looked at once, before anyone trains on it."""

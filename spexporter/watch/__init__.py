"""Where job ids come from."""

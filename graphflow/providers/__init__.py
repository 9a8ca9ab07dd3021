"""Where models are reached. `local` runs one in this process."""

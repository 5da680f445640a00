"""Where what is known of jobs is kept, and how waits learn of changes."""

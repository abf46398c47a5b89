"""What starts the flows: the dispatcher, and the sweeper that repeats what was lost."""

"""What runs inside Lambda: API, conductor, and what the task manager shares with them."""

"""What each report of a guest does to the state, and how a guest is let in."""

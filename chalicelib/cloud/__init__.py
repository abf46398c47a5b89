"""OpenStack behind our functions: each makes one API call, and its errors are ours."""

"""The measurements of `make bench`: what is measured, and how it is printed."""

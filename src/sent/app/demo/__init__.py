"""What `make run` shows: an organization with two people, and a carrier to call through."""

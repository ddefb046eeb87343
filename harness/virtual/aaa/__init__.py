"""Authentication and accounting of users by RADIUS: method lists, records, and who waits for which answer."""

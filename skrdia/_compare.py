"""What each way to repair labels is worth on the caller's own data."""

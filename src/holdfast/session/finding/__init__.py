"""What status, history and the first screen are about, found out from store and workspace, as plain data."""

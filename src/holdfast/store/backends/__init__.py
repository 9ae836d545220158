"""Where a store lies: the contract, a plain folder, Drive's mount, what wraps any of them, and what kinds of mount there are."""

"""Work that is spread over processes, or over machines: attempts, the engines that run them, and what comes back as data."""

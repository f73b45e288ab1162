"""The soak: mixed traffic, reloads and faults for as long as it takes to see what grows."""

"""What should change: resources in, an ordered list of changes out. Pure: no clock, no network, no file."""

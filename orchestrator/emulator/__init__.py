"""The vendor on this machine: same paths, same JSON, same manners, with switchable faults."""

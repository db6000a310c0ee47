"""The running batch: a loop that asks the pure planner, and the stages that act."""

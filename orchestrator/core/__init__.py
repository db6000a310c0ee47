"""The pure middle: every decision as a table or a function of its arguments.

No await, no clock, no file, no socket. What is here can be read and tested like a table.
"""

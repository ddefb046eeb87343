"""`make fuzz`: hostile datagrams by the million against every core and the virtual gateway's sockets (`python -m fuzzing`)."""

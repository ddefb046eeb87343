"""Storms of arrivals: when clients come (`shape`), who does what when (`plan`), carried out in open loop (`engine`), counted
(`meter`), and how many a second can be borne (`ramp`)."""

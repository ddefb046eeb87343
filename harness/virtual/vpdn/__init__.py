"""VPDN groups with L2TP security: a router that is LNS, LAC or both, and whose groups are protected by crypto profiles or not.

`router.VpdnRouter` puts it together; `groups` and `crypto` are what it is told, `view` what it shows.
"""

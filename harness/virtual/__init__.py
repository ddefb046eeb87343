"""Our own L2TP/IPsec gateway: the wire's cores in their answering role, behind a personality file.

`gateway.VirtualGateway` is the whole of it, sans-IO; `process` gives it sockets.
"""

"""Children in processes of their own: a host in each, its keeper above, the watchdog outside."""

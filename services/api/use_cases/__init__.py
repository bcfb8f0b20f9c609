"""What callers can do, whatever dialect they speak. Raises `Problem`; knows no HTTP."""

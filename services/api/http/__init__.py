"""What every dialect needs of HTTP: keys, paging, and the error body."""

"""What a mail says to who reads it: cutting its HTML, and the text that is in it."""

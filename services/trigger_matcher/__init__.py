"""The trigger matcher: contact events in, enroll commands out.

It is the one door for snapshot from outside: it checks them, drops repeats, and forwards each as an
`observe` command to our own partition, followed by the `enroll` commands it caused.
"""

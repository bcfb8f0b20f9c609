"""The scheduler owns time: it keeps timers and wakes what they were set for; and contacts' dates.

Timers are append-only, in one table per day they are due, and fired by a watermark that moves in
the same transaction as the outbox. Nothing is deleted row by row: a day that has passed is dropped
whole. Cancelling is doing nothing, because a wake-up names the hop it is for.

There is no timer per contact for dates: it keeps which dates contacts have, by month and day, and
when a trigger's moment comes, releases that day's share (a *slice*) in bounded chunks.

A *partition* here is always one of timer.commands; a *day* is a time partition of the table.
"""

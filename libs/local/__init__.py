"""The whole stack on one machine: Postgres, Kafka, a mail sink and the four services.

It needs Python alone (`KAFKA=embedded`), or Java and Maven beside it (`KAFKA=apache`).
"""

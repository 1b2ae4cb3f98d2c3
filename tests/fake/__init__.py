"""A fake AWS for tests: S3, SQS, SNS, EventBridge and STS in one process, on one loopback port.

It is what the emulators are not: quick (one asyncio loop, HTTP/1.1 by hand, connections kept), exact
where our code could go wrong (conditional writes, versions, stale receipt handles, sequencers, the
spelling of EventBridge), strict about signatures (botocore's own code checks them), and able to fail
as it is told (faults.py). What it was asked, and how it stands, is told under /_fake/ (admin.py).

    python -m fake            # from tests/; prints its port, ends when its standard input does
"""

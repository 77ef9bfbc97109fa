"""One module a format of readings: bytes in, `canonical.page.PageDocument` out, `Rejection` where there is none."""

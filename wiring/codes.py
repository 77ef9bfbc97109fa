"""What can be wrong with a start, as findings: each is one line and ends the command with exit code 2."""

from __future__ import annotations

from typing import Final

from canonical.findings import Severity, declare

NO_SITE: Final = declare(
    "config.no_site", Severity.FATAL, "There is no site configuration here.",
    "Name the folder that holds site.yaml: --config config/demo")
NO_MAPPINGS: Final = declare(
    "config.no_mappings", Severity.FATAL, "The folder of the mapping tables does not exist.",
    "Correct `mappings` in site.yaml; it is relative to the file.")
DATABASE: Final = declare(
    "config.database", Severity.FATAL, "The ledger's database cannot be used.",
    "Start the database, or correct DRAGOMAN_DATABASE: sqlite:////var/lib/dragoman/ledger.sqlite3 (four slashes before "
    "an absolute path), postgresql://USER@HOST/NAME.")
NO_LEDGER: Final = declare(
    "config.no_ledger", Severity.FATAL, "There is no ledger yet: nothing has run here.",
    "Start the site first: dragoman run --config DIR")
BROKER: Final = declare(
    "config.broker", Severity.FATAL, "The broker's address is of no known kind.",
    "DRAGOMAN_BROKER is amqp://USER@HOST:PORT/VHOST, or not set for the in-process one.")
DISTRIBUTED: Final = declare(
    "config.needs_broker", Severity.FATAL, "Processes with a role of their own need a broker between them.",
    "Set DRAGOMAN_BROKER to amqp://…, and DRAGOMAN_DATABASE to a PostgreSQL, or run --role all.")
METRICS_PORT: Final = declare(
    "config.metrics_port", Severity.FATAL, "The port for metrics cannot be had.",
    "Give `metrics_port` another number, or 0 for none.")
UNDECODABLE: Final = declare(
    "map.undecodable", Severity.FATAL, "The field holds bytes that are no characters of the message's character set.",
    "Set `charset` of the channel to what the sender writes (or have MSH-18 corrected), then replay.")
NO_TABLE: Final = declare(
    "config.no_table", Severity.FATAL, "The configuration names no mapping table for this kind of message.",
    "Add the type to `mapping` of the channel or destination, then replay.")
NO_OVERLAY: Final = declare(
    "config.no_overlay", Severity.WARNING, "The site has no tables of its own; the standard ones are used.",
    "Correct `site`, add a folder under mappings/sites, or leave `site` out.")
CHARSET: Final = declare(
    "config.charset", Severity.WARNING, "The character set has no name anybody knows.",
    "A name of HL7 table 0211 (8859/1, UNICODE UTF-8) or an IANA name (windows-1252).")
SILENT_RULE: Final = declare(
    "config.silent_rule", Severity.WARNING, "A route or rule waits for an event that never comes.",
    "Correct the event in its `when`; docs/canonical.md lists the events.")
NO_PROFILE: Final = declare(
    "config.no_profile", Severity.FATAL, "There is no such profile, or it cannot be used here.",
    "Profiles are the files of mappings/profiles; they are for channels whose tables read HL7 v2.")
NO_PARTNER: Final = declare(
    "config.no_partner", Severity.FATAL, "There is no such trading partner, or it cannot be used here.",
    "Partners are the files of mappings/partners; they are for destinations whose tables write X12.")
BAD_KNOWN: Final = declare(
    "config.known", Severity.FATAL, "What values on pages are checked against cannot be used.",
    "See `documents` in docs/configuration.md; files are CSV with the names of the columns first, or YAML.")
PROFILE_PLACE: Final = declare(
    "profile.no_such_place", Severity.FATAL, "The profile names a segment or field that HL7 v2 does not have.",
    "Segments are written PV1, fields PID-3, components PID-5.1.")

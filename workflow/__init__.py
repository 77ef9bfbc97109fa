"""What an event sets in motion: questions to payers, tasks for people, reminders. Pure deciders, no I/O.

A *case* is anything that something may have to be done about: an appointment, a referral, an authorization. Whenever
something changes that a case depends on, and whenever time alone may change the answer, the router looks at the case
(`router.flow`) and asks `workflow.decide` what should be so now. The answer depends on the present states and the
time, never on the way that led there: so any order and any repetition of messages comes to the same tasks, and a
command is given once.
"""

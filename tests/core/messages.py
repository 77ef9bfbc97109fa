"""X12 inquiries of our own, for the tests of the CORE edges."""

from __future__ import annotations


def inquiry(number: int, name: str = "CANARY") -> bytes:
    """A 270 about one member, in an interchange of its own."""
    control = f"{number:09d}"
    body = (f"ST*270*0001*005010X279A1~BHT*0022*13*B{number}*20260302*0700~HL*1**20*1~NM1*PR*2*ACME HEALTH*****PI*ACME~"
            f"HL*2*1*21*1~NM1*1P*2*NORTHGATE CLINIC*****XX*1234567893~HL*3*2*22*0~TRN*1*T{number}*9NORTHGATE~"
            f"NM1*IL*1*{name}*ADA****MI*M{number}~DMG*D8*19800229~DTP*291*D8*20260310~EQ*30~")
    count = body.count("~") + 1
    return (f"ISA*00*{'':10}*00*{'':10}*ZZ*NORTHGATE      *ZZ*ACME           *260302*0700*^*00501*{control}*0*T*:~"
            f"GS*HS*NORTHGATE*ACME*20260302*0700*{number}*X*005010X279A1~{body}SE*{count}*0001~GE*1*{number}~"
            f"IEA*1*{control}~").encode()


def request_278(number: int) -> bytes:
    """A 278 about one service of one member."""
    control = f"{number:09d}"
    body = (f"ST*278*0001*005010X217~BHT*0007*13*B{number}*20260302*0700~HL*1**20*1~NM1*X3*2*ACME HEALTH*****PI*ACME~"
            f"HL*2*1*21*1~NM1*1P*2*NORTHGATE CLINIC*****XX*1234567893~HL*3*2*22*1~NM1*IL*1*CANARY*ADA****MI*M{number}~"
            f"HL*4*3*EV*0~TRN*1*T{number}*9NORTHGATE~UM*HS*I*3~DTP*AAH*RD8*20260310-20260410~HI*BK:I10~")
    count = body.count("~") + 1
    return (f"ISA*00*{'':10}*00*{'':10}*ZZ*NORTHGATE      *ZZ*ACME           *260302*0700*^*00501*{control}*0*T*:~"
            f"GS*HI*NORTHGATE*ACME*20260302*0700*{number}*X*005010X217~{body}SE*{count}*0001~GE*1*{number}~"
            f"IEA*1*{control}~").encode()

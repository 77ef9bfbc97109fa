"""What every connector must do, whatever its protocol. A connector subclasses and supplies a small factory.

=====================  ====================================================================================
`ReceiverConformance`  `running`, `client`, `message`
`SenderConformance`    `peer`, `running`, `dispatch`
`CodecConformance`     `codec`, `samples`
=====================  ====================================================================================
"""

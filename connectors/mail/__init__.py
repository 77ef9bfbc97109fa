"""Documents by mail: a receiver that takes the attachments of messages from those who may send them."""

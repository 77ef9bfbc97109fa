"""Documents from a folder of somebody's SFTP server."""

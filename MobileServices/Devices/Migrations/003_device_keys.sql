-- The thumbprint (RFC 7638) of the key that the installation made for itself; null for one that has none.
alter table devices.device add key_thumbprint text;

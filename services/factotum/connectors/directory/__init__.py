"""Directories, over LDAP."""

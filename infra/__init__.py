"""The ground floor: settings, connections, and the services that run on one machine.

Every other room stands on this one; it imports none of them.
"""

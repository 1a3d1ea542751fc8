"""DNS queries of pods: `nameserver` answers the names that the pod's view has and passes the others on; `message` is
the codec."""

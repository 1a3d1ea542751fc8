"""The kernel's side of the mesh: eBPF programs at each enrolled pod's cgroup, the maps that tell them what to do, and
the sockets inside the pods. Knows addresses and ports; nothing of HTTP, nothing of Istio.

A connection's way. connect() runs bpf/connect4 or connect6, which look the dialled address up in the map `services`
under the pod's view, then under view 0, then in `networks`. pass: untouched. kernel: an endpoint is drawn from a set of
`backends` and the address rewritten. proxy: the address becomes the loopback of the pod's own namespace, at a port of
this connection's own, if the pod's listener stands in `listeners` and a worker's slot in `heartbeats` is fresh; if
not, the connection passes, or is refused where the service says so. sockops writes what was dialled to `flows` before
the SYN leaves; sk_lookup in the namespace hands the SYNs that stand there to the listener; the proxy takes the record
after accept. getpeername4 and 6 show the app the address that it dialled, getsockname4 and 6 its own. Where a pod asks
for it, sendmsg and recvmsg hooks do the same for its DNS queries, and bytes between it and the proxy skip TCP
(sockmap).

How the node composes it (in this order; everything is idempotent and adopts what an earlier run left):

    load(bpf_dir, pins)                                   loader.py: programs and maps, pinned
    with Maps(pins) as maps:                              maps.py: the pinned maps, layouts checked
        maps.configure(heartbeat_limit, workers)
        service_maps = ServiceMaps(maps)                  sync.py
        planner = Planner()                               plan.py: pure; reverse=True where a foreign program is `first`
        service_maps.apply(planner.plan([(0, view), (1, other)]))   again with each change; without=ejections.out(now)
        # a pod (its uid, a pid in it from cgroups.pids):
        netns = netns_fd(pid)                             namespaces.py
        listener = open_listener(netns, "127.0.0.1", 0)   and "::1", where the pod has IPv6
        cookie = netns_cookie(listener)
        maps.set_listener(cookie, listener)               its descriptor may be closed here once others hold it
        maps.enrol(cookie, view_number, addresses=...)    again to move the pod to another view; PodFlag.DNS where
                                                          sockets of open_datagrams wait for its queries
        steer(pins, uid, netns, cookie)                   attach.py: SYNs that are redirected to the listener
        attach(pins, uid, cgroups.find_pod(root, uid))    attach.py: last, so that nothing is taken over too early
        # and back:
        maps.withdraw(cookie); detach(pins, uid)
    # sockmap, for those who ask for it, once the rest works:
    load_sockmap(bpf_dir, pins)                           loader.py: LoadError where the kernel cannot
    torture(pins, cgroup_root)                            torture/run.py: whether it is sound here, and what it gains
    maps.enrol(cookie, view_number, PodFlag.SOCKMAP); attach(pins, uid, cgroup, sockmap=True)
    remove_other_layouts(pins)                            uninstall.py: after an upgrade, once every pod is attached
    uninstall(pins)                                       uninstall.py: nothing is left

What it says:

    counters.read(maps)                                   counters.py: connections by hook and reason
    traffic.take(maps)                                    traffic.py: what kernel mode has carried since the last call
    ejections.observe(taken, now)                         ejection.py: endpoints that only fail, to be left out
    probes.probe(cgroup), probes.failures(findings)       probes.py: what the host lacks, each with its mend
    self_test(pins, cgroup_root, beat)                    selftest.py: one connection through all of it, as a Finding

A worker gets descriptors of `heartbeats` and `flows` (`maps["flows"].fd`):

    Heartbeat(fd, slot).beat()                            heartbeat.py: every 0.5 s, by its own loop
    OriginalDestinations(fd).take(sock, peer)             origin.py: (address, port) or None
    open_socket(netns, family)                            namespaces.py: an upstream socket in the pod's namespace
    Sockmap(sockets, depth).join(sock, flow), .depth()    sockmap.py: a connection without TCP, and what waits in it

Files in reading order: pins, hooks, maps (layouts, shared with bpf/include/types.h), bpf (the system call), headers,
btf, storage, bytecode, compiler (BCC, in a process of its own) and loader, steering, attach, namespaces, cgroups,
heartbeat, origin, slots, places and plan (pure), sync, counters, traffic, ejection, calm (pure), bpffs, probes,
selftest, sockmap, torture/, uninstall.

Needs Linux 5.15 (of 5.14: SO_NETNS_COOKIE, taking hash entries in one step), cgroup v2 and a BPF
file system.
"""

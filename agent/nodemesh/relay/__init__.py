"""`nodemesh relay`: watches the API server once, and serves list and watch to many agents in its own protocol.

trim.py        an object with only what agents read of it
wire.py        events as bytes, compressed once for everybody
feed.py        objects as they are served, and the changes that watches follow
collection.py  one resource: read once, and filed in feeds
pace.py        when watchers hear of changes
server.py      the requests: lists, watches, bookmarks, 410
doors.py       its connections, so many of an address
relay.py       the parts put together, and the process's life

It holds no state of its own: resourceVersions are the API server's, so that an agent goes on at either where it was
with the other."""

"""The program of the embedded SFTP server: `python -m infra.local.serve_sftp PORT FOLDER USER`.

It serves `FOLDER/outbox` and nothing above it, on the loopback, to one user who has the key in
`FOLDER/authorized_keys`. No passwords, no shell, no forwarding.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncssh

from infra.local.supervisor import LOOPBACK


class _OneUser(asyncssh.SSHServer):
    """Accept the authorised key for one user name; for any other name no key is right."""

    def __init__(self, user: str, authorized_keys: asyncssh.SSHAuthorizedKeys) -> None:
        self._user = user
        self._keys = authorized_keys

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if username == self._user:
            self._connection.set_authorized_keys(self._keys)
        return True


async def serve(port: int, folder: Path, user: str) -> None:
    """Serve until the process is ended."""
    keys = asyncssh.read_authorized_keys(str(folder / "authorized_keys"))
    outbox = str(folder / "outbox").encode()
    server = await asyncssh.listen(
        LOOPBACK,
        port,
        server_factory=lambda: _OneUser(user, keys),
        server_host_keys=[str(folder / "host_ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=outbox),
        public_key_auth=True,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        login_timeout=20,
        keepalive_interval=30,
    )
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))

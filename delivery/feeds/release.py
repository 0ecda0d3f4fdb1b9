"""Which build may leave: the last one, if it passed the release gate. This module checks nothing itself."""

from __future__ import annotations

import psycopg


class ReleaseRefusedError(RuntimeError):
    """Nothing may be published now; the message says what failed and what to do."""


def released_build(connection: psycopg.Connection) -> int:
    """Id of the last successful build, which must have passed the release gate the last time that was run.

    Raises:
        ReleaseRefusedError: There is no build, its gate was not run, or it failed.
    """
    row = connection.execute(
        """
        select builds.build_id, gate.success, gate.findings
        from ops.builds as builds
        left join lateral (
            select success, findings from ops.gate_results
            where gate_results.build_id = builds.build_id and gate = 'release'
            order by result_id desc limit 1
        ) as gate on true
        where builds.state = 'succeeded'
        order by builds.build_id desc limit 1
        """
    ).fetchone()
    if row is None:
        raise ReleaseRefusedError(
            "Nothing is published: no build has succeeded yet. Run `contactbi build` first."
        )
    build_id, success, findings = row
    if success is None:
        raise ReleaseRefusedError(
            f"Nothing is published: build {build_id} has not been through the release gate. "
            "Run `contactbi check`."
        )
    if not success:
        failures = [finding["message"] for finding in findings if finding["severity"] == "failure"]
        raise ReleaseRefusedError(
            f"Nothing is published: the release gate failed for build {build_id}: {' '.join(failures)} "
            "The data is kept. Put the cause right, then run `contactbi build`, `contactbi check` and "
            "`contactbi publish`."
        )
    return int(build_id)
